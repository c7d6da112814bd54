/**
 * Many membership cores on virtual time, over a network that only delays and loses: fast enough for
 * a thousand members. Messages are handed over as values; their bytes are counted as they would be
 * sealed.
 */
import {
  type Address,
  type Config,
  type MembershipEvent,
  type MonotonicMs,
  must,
  type NodeId,
  SplittableRandom,
  toClusterId,
  unstatedCapacity,
  type WallMs
} from '../../core/index.js'
import { PacketWriter } from '../../network/membership/messages.js'
import { type Sender, Swim, type SwimEffects } from '../../network/membership/swim.js'
import type { SwimSend } from '../../network/membership/swim-state.js'
import {
  DatagramFormats,
  datagramPayloadBytesMax,
  tagBytes,
  writeHeader
} from '../../network/security/datagram-header.js'
import { ByteWriter } from '../../wire/index.js'
import { EventHeap } from './event-heap.js'

export interface SwimSwarmOptions {
  readonly members: number
  readonly seed: number
  readonly config: Config['membership']
  /** One way; drawn evenly. */
  readonly delayMinMs: number
  readonly delayMaxMs: number
  /** Of datagrams, each. */
  readonly lossShare: number
}

export interface SwarmMember {
  readonly nodeId: NodeId
  readonly address: Address
  readonly swim: Swim
  isRunning: boolean
}

/** Blocked: reads nothing, and stands still from its next send on, which is held back. */
const Gaits = { Running: 'running', Blocked: 'blocked', Still: 'still' } as const
type Gait = (typeof Gaits)[keyof typeof Gaits]

interface Inhabitant extends SwarmMember {
  gait: Gait
  readonly sender: Sender
  /** A sealed datagram without its payload. */
  readonly overheadBytes: number
  /** When its timer is in the heap for. */
  armedAt: number
  /** What came meanwhile. */
  readonly unread: (() => void)[]
  /** What it was about to send. */
  readonly unsent: SwimSend[]
}

/** As many datagrams as a socket's buffer of the kernel holds; later ones are dropped. */
const socketBufferLengthMax = 1_024

/** Told of each event of each member, as it happens. */
export type SwarmListener = (viewer: SwarmMember, event: MembershipEvent, at: number) => void

export class SwimSwarm {
  readonly random: SplittableRandom
  /** In the order of their ids. */
  readonly members: readonly SwarmMember[]
  datagrams = 0
  bytes = 0
  now = 0
  readonly #options: SwimSwarmOptions
  readonly #inhabitants: Inhabitant[] = []
  readonly #byAddress = new Map<Address, Inhabitant>()
  readonly #heap = new EventHeap()
  readonly #packets = new PacketWriter()
  readonly #listener: SwarmListener

  /** Everybody knows everybody and has just begun to probe. */
  constructor(options: SwimSwarmOptions, listener: SwarmListener) {
    this.#options = options
    this.#listener = listener
    this.random = SplittableRandom.fromSeed(options.seed)
    this.members = this.#inhabitants
    for (let i = 0; i < options.members; i++) this.#add(`n${String(i).padStart(4, '0')}`)
    this.#introduceAll()
  }

  run(ms: number): void {
    const end = this.now + ms
    while (this.#heap.nextAt < end) {
      this.now = this.#heap.nextAt
      this.#heap.pop()?.()
    }
    this.now = end
  }

  crash(member: SwarmMember): void {
    member.isRunning = false
  }

  /** From now on it reads nothing; its next send blocks, and with it the process. */
  block(member: SwarmMember): void {
    this.#inhabitant(member).gait = Gaits.Blocked
  }

  /** What was held back is sent, late timers fire, and then what waits is read. */
  release(member: SwarmMember): void {
    const inhabitant = this.#inhabitant(member)
    inhabitant.gait = Gaits.Running
    if (!inhabitant.isRunning) return
    for (const effect of inhabitant.unsent.splice(0)) this.#send(inhabitant, effect)
    this.#fireTimers(inhabitant)
    for (const read of inhabitant.unread.splice(0)) read()
    this.#arm(inhabitant)
  }

  #inhabitant(member: SwarmMember): Inhabitant {
    return must(this.#byAddress.get(member.address), 'a member of this swarm')
  }

  #add(name: string): void {
    const nodeId = name as NodeId
    const address = `${name}:7946`
    const bornAt = this.#inhabitants.length as WallMs
    const random = this.random.split(name)
    const swim = new Swim(
      { random },
      {
        nodeId,
        address,
        datacenter: '',
        rack: '',
        metadata: {},
        capacity: unstatedCapacity,
        tags: [],
        versions: { min: 1, max: 1 },
        bornAt,
        config: this.#options.config
      },
      this.#ms()
    )
    swim.setLifecycle('up', this.#ms())
    const inhabitant: Inhabitant = {
      nodeId,
      address,
      swim,
      isRunning: true,
      gait: Gaits.Running,
      sender: { nodeId, address },
      overheadBytes: sealedOverheadBytes(nodeId),
      armedAt: Number.POSITIVE_INFINITY,
      unread: [],
      unsent: []
    }
    this.#inhabitants.push(inhabitant)
    this.#byAddress.set(address, inhabitant)
  }

  #introduceAll(): void {
    const states = this.#inhabitants.map(({ swim }) => {
      const statement = swim.selfStatement()
      return { statement, liveness: 'alive', incarnation: statement.incarnation } as const
    })
    for (const inhabitant of this.#inhabitants) {
      const { swim, nodeId } = inhabitant
      const others = states.filter(({ statement }) => statement.nodeId !== nodeId)
      swim.merge(others, nodeId, this.#ms())
      swim.drainEffects()
      swim.start(this.#ms())
      this.#carryOut(inhabitant)
    }
  }

  #arm(inhabitant: Inhabitant): void {
    const at = inhabitant.swim.nextDeadline()
    if (at >= inhabitant.armedAt) return
    inhabitant.armedAt = at
    this.#heap.push(at, () => {
      // An earlier timer was set after this one: that one has done its work.
      if (inhabitant.armedAt !== at) return
      inhabitant.armedAt = Number.POSITIVE_INFINITY
      if (!inhabitant.isRunning || inhabitant.gait === Gaits.Still) return
      this.#fireTimers(inhabitant)
    })
  }

  #fireTimers(inhabitant: Inhabitant): void {
    if (inhabitant.swim.nextDeadline() <= this.now) inhabitant.swim.handleTimeout(this.#ms())
    this.#carryOut(inhabitant)
  }

  #carryOut(inhabitant: Inhabitant): void {
    const effects: SwimEffects = inhabitant.swim.drainEffects()
    for (const event of effects.emit) this.#listener(inhabitant, event, this.now)
    if (inhabitant.gait === Gaits.Running) {
      for (const effect of effects.sendNow) this.#send(inhabitant, effect)
    } else if (effects.sendNow.length > 0) {
      inhabitant.unsent.push(...effects.sendNow)
      inhabitant.gait = Gaits.Still
      return
    }
    this.#arm(inhabitant)
  }

  #send(from: Inhabitant, effect: SwimSend): void {
    switch (effect.kind) {
      case 'datagram':
        this.#sendDatagram(from, effect)
        return
      case 'streamPing':
        this.#overStream(from, effect.address, (peer) => {
          if (this.now >= effect.deadline) return
          from.swim.handleStreamAck(effect.sequence, peer.nodeId, this.#ms())
        })
        return
      case 'pushPull':
        this.#overStream(from, effect.address, (peer) => {
          peer.swim.merge(from.swim.exchangedMembers(), from.nodeId, this.#ms())
          from.swim.merge(peer.swim.exchangedMembers(), peer.nodeId, this.#ms())
          const { deltas, wanted } = peer.swim.metadata.answer(from.swim.metadataDigests())
          from.swim.metadata.merge(deltas)
          peer.swim.metadata.merge(from.swim.metadata.supply(wanted))
          this.#carryOut(peer)
        })
        return
    }
  }

  #sendDatagram(from: Inhabitant, { to, messages }: Extract<SwimSend, { kind: 'datagram' }>): void {
    this.datagrams++
    this.bytes += from.overheadBytes + this.#packets.write(clusterId, messages).length
    if (this.random.nextFloat() < this.#options.lossShare) return
    const peer = this.#byAddress.get(to)
    if (peer === undefined) return
    this.#heap.push(this.now + this.#delayMs(), () =>
      this.#deliver(peer, () => {
        for (const message of messages) peer.swim.receive(message, from.sender, this.#ms())
      })
    )
  }

  /** There and back; the peer answers when it runs. */
  #overStream(from: Inhabitant, to: Address, answered: (peer: Inhabitant) => void): void {
    const peer = this.#byAddress.get(to)
    if (peer === undefined) return
    this.#heap.push(this.now + this.#delayMs(), () =>
      this.#deliver(peer, () => {
        this.#heap.push(this.now + this.#delayMs(), () =>
          this.#deliver(from, () => {
            if (peer.isRunning) answered(peer)
          })
        )
      })
    )
  }

  #deliver(to: Inhabitant, act: () => void): void {
    const read = () => {
      if (!to.isRunning) return
      act()
      this.#carryOut(to)
    }
    if (to.gait === Gaits.Running) read()
    else if (to.unread.length < socketBufferLengthMax) to.unread.push(read)
  }

  #delayMs(): number {
    const { delayMinMs, delayMaxMs } = this.#options
    return delayMinMs + this.random.nextFloat() * (delayMaxMs - delayMinMs)
  }

  #ms(): MonotonicMs {
    return this.now as MonotonicMs
  }
}

/** In every packet of a founded cluster. */
const clusterId = toClusterId('0123456789abcdef0123456789abcdef')

function sealedOverheadBytes(sender: NodeId): number {
  const writer = new ByteWriter(datagramPayloadBytesMax)
  writeHeader(writer, {
    format: DatagramFormats.Sealed,
    clusterTag: 0,
    keyId: 0,
    bootNumber: 0,
    bootNonce: new Uint8Array(16),
    counter: 0,
    sender
  })
  return writer.length + tagBytes
}
