/** A cluster of pure membership cores on virtual time, with a network that can be broken. */
import { isDeepStrictEqual } from 'node:util'
import {
  type Address,
  type Config,
  type MemberEvent,
  type MembershipEvent,
  type MetadataEvent,
  type MonotonicMs,
  type NodeId,
  type PartitionEvent,
  resolveConfig,
  SplittableRandom,
  unstatedCapacity,
  type WallMs
} from '../../../../src/core/index.js'
import { PacketWriter, readPacket } from '../../../../src/network/membership/messages.js'
import { Swim } from '../../../../src/network/membership/swim.js'
import type { SwimSend } from '../../../../src/network/membership/swim-state.js'

export type MembershipConfig = Config['membership']

/** The defaults of a local network, with changes. */
export function membershipConfig(change: Partial<MembershipConfig> = {}): MembershipConfig {
  const { membership } = resolveConfig({
    code: {
      node: { id: 'x', dataDirectory: '/x' },
      cluster: { bootstrap: { voters: ['x'] } },
      security: { insecure: true }
    }
  })
  return { ...membership, ...change }
}

export interface ToldEvent {
  readonly at: number
  readonly viewer: NodeId
  readonly event: MemberEvent
}

export interface ToldPartition {
  readonly at: number
  readonly viewer: NodeId
  readonly event: PartitionEvent
}

export interface ToldMetadata {
  readonly at: number
  readonly viewer: NodeId
  readonly event: MetadataEvent
}

export const isMemberEvent = (event: MembershipEvent): event is MemberEvent =>
  event.type.startsWith('Member')

export interface WorldNode {
  readonly nodeId: NodeId
  readonly swim: Swim
  readonly address: Address
  isRunning: boolean
  isPaused: boolean
  /** Arrived while it was paused. */
  readonly waiting: (() => void)[]
  lastIncarnation: number
}

interface Scheduled {
  readonly at: number
  readonly order: number
  run(): void
}

export class SwimWorld {
  readonly events: ToldEvent[] = []
  readonly partitions: ToldPartition[] = []
  readonly metadata: ToldMetadata[] = []
  readonly nodes = new Map<NodeId, WorldNode>()
  readonly config: MembershipConfig
  /** `from>to` by node id: nothing of that way arrives. */
  readonly cuts = new Set<string>()
  /** As `cuts`, for datagrams alone. */
  readonly datagramCuts = new Set<string>()
  datagramLoss = 0
  duplicateShare = 0
  delayMaxMs = 5
  datagramsSent = 0
  now = 0
  readonly random: SplittableRandom
  readonly #packets = new PacketWriter()
  readonly #byAddress = new Map<Address, WorldNode>()
  /** viewer and life → subject → incarnation */
  readonly #seen = new Map<Swim, Map<NodeId, number>>()
  readonly #highestOwn = new Map<NodeId, number>()
  #scheduled: Scheduled[] = []
  #order = 0

  constructor(seed: number, change: Partial<MembershipConfig> = {}) {
    this.random = SplittableRandom.fromSeed(seed)
    this.config = membershipConfig(change)
  }

  /** A node that runs and knows only itself; replaces one of this name. */
  add(name: string, address: Address = `${name}:1`): WorldNode {
    const nodeId = name as NodeId
    const before = this.nodes.get(nodeId)
    if (before !== undefined) this.crash(name)
    const swim = new Swim(
      { random: this.random.split(`${name} ${this.#order}`) },
      {
        nodeId,
        address,
        datacenter: 'dc',
        rack: 'r1',
        metadata: { name },
        capacity: unstatedCapacity,
        tags: [],
        versions: { min: 1, max: 1 },
        bornAt: this.#order as WallMs,
        config: this.config
      },
      this.#ms()
    )
    const node: WorldNode = {
      nodeId,
      swim,
      address,
      isRunning: true,
      isPaused: false,
      waiting: [],
      lastIncarnation: 0
    }
    this.nodes.set(nodeId, node)
    this.#byAddress.set(address, node)
    swim.start(this.#ms())
    swim.setLifecycle('up', this.#ms())
    this.#carryOut(node)
    return node
  }

  /** `count` nodes, n0…, all joined through n0, and settled. */
  static settled(
    count: number,
    seed: number,
    change: Partial<MembershipConfig> = {},
    settleMs = 10_000
  ): SwimWorld {
    const world = new SwimWorld(seed, change)
    for (let i = 0; i < count; i++) {
      world.add(`n${i}`)
      if (i > 0) world.join(`n${i}`, 'n0')
    }
    world.run(settleMs)
    world.events.length = 0
    return world
  }

  node(name: string): WorldNode {
    const node = this.nodes.get(name as NodeId)
    if (node === undefined) throw new Error(`no node ${name}`)
    return node
  }

  /** Over a stream, at once; false when the way is cut or the seed refuses. */
  join(name: string, seedName: string): boolean {
    const node = this.node(name)
    const seed = this.node(seedName)
    if (!this.#canStream(node, seed)) return false
    const statement = node.swim.selfStatement()
    const isAdmitted = seed.swim.admitsClaim(statement, this.#ms())
    if (isAdmitted) {
      seed.swim.handleStatement(statement, this.#ms())
      node.swim.merge(seed.swim.exchangedMembers(), seed.nodeId, this.#ms())
    }
    this.#carryOut(seed)
    this.#carryOut(node)
    return isAdmitted
  }

  crash(name: string): void {
    const node = this.node(name)
    node.isRunning = false
    if (this.#byAddress.get(node.address) === node) this.#byAddress.delete(node.address)
  }

  pause(name: string): void {
    this.node(name).isPaused = true
  }

  resume(name: string): void {
    const node = this.node(name)
    node.isPaused = false
    this.#fireTimers(node)
    for (const deliver of node.waiting.splice(0).slice(-256)) deliver()
  }

  do(name: string, act: (swim: Swim, now: MonotonicMs) => void): void {
    const node = this.node(name)
    act(node.swim, this.#ms())
    this.#carryOut(node)
  }

  /** Both ways between every member of `left` and everyone else. */
  partition(left: readonly string[]): void {
    for (const a of this.nodes.keys()) {
      for (const b of this.nodes.keys()) {
        if (left.includes(a) !== left.includes(b)) this.cuts.add(`${a}>${b}`)
      }
    }
  }

  heal(): void {
    this.cuts.clear()
    this.datagramCuts.clear()
    this.datagramLoss = 0
    this.duplicateShare = 0
  }

  run(ms: number): void {
    const end = this.now + ms
    while (this.#step(end));
    this.now = end
  }

  /** Runs until it holds; answers how long it took, or Infinity. */
  runUntil(holds: () => boolean, limitMs: number): number {
    const start = this.now
    while (!holds()) {
      if (this.now - start >= limitMs) return Number.POSITIVE_INFINITY
      this.run(20)
    }
    return this.now - start
  }

  running(): WorldNode[] {
    return [...this.nodes.values()].filter(({ isRunning }) => isRunning)
  }

  /** Whether every running node sees exactly the running ones, as they see themselves. */
  isConverged(): boolean {
    const running = this.running()
    return running.every((viewer) => {
      const seen = viewer.swim.aliveMembers()
      if (seen.length !== running.length) return false
      return running.every(({ nodeId, swim }) => {
        const member = viewer.swim.member(nodeId)
        const { lastSeen: _, ...own } = swim.self()
        if (member === null) return false
        const { lastSeen: __, ...view } = member
        return isDeepStrictEqual(view, own)
      })
    })
  }

  told(type: MemberEvent['type'], about?: string): ToldEvent[] {
    return this.events.filter(({ event }) => {
      if (event.type !== type) return false
      const subject = event.type === 'MemberConflict' ? event.nodeId : event.member.nodeId
      return about === undefined || subject === about
    })
  }

  #step(end: number): boolean {
    let nextNode: WorldNode | null = null
    let at = Math.min(end, this.#scheduled[0]?.at ?? Number.POSITIVE_INFINITY)
    for (const node of this.nodes.values()) {
      if (!node.isRunning || node.isPaused) continue
      const due = node.swim.nextDeadline()
      if (due >= at) continue
      at = due
      nextNode = node
    }
    if (at >= end) return false
    this.now = Math.max(this.now, at)
    if (nextNode !== null) this.#fireTimers(nextNode)
    else this.#scheduled.shift()?.run()
    return true
  }

  #fireTimers(node: WorldNode): void {
    if (node.swim.nextDeadline() > this.now) return
    node.swim.handleTimeout(this.#ms())
    this.#carryOut(node)
  }

  #carryOut(node: WorldNode): void {
    const { sendNow, emit } = node.swim.drainEffects()
    for (const event of emit) {
      const told = { at: this.now, viewer: node.nodeId }
      if (isMemberEvent(event)) this.events.push({ ...told, event })
      else if (event.type === 'MetadataChanged') this.metadata.push({ ...told, event })
      else this.partitions.push({ ...told, event })
    }
    for (const effect of sendNow) this.#send(node, effect)
    this.#check(node)
  }

  #send(from: WorldNode, effect: SwimSend): void {
    switch (effect.kind) {
      case 'datagram':
        this.#sendDatagram(from, effect)
        return
      case 'streamPing':
        this.#overStream(from, effect.address, (peer) => {
          if (this.now < effect.deadline) {
            from.swim.handleStreamAck(effect.sequence, peer.nodeId, this.#ms())
          }
        })
        return
      case 'pushPull':
        this.#overStream(from, effect.address, (peer) => {
          const given = from.swim.exchangedMembers()
          peer.swim.merge(given, from.nodeId, this.#ms())
          from.swim.merge(peer.swim.exchangedMembers(), peer.nodeId, this.#ms())
          const { deltas, wanted } = peer.swim.metadata.answer(from.swim.metadataDigests())
          from.swim.metadata.merge(deltas)
          peer.swim.metadata.merge(from.swim.metadata.supply(wanted))
          this.#carryOut(peer)
        })
        return
    }
  }

  #sendDatagram(from: WorldNode, { to, messages }: Extract<SwimSend, { kind: 'datagram' }>): void {
    this.datagramsSent++
    const bytes = this.#packets.write(null, messages).slice()
    const copies = this.random.nextFloat() < this.duplicateShare ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      const isLost = this.random.nextFloat() < this.datagramLoss
      this.#after(this.#delay(), () => {
        const peer = this.#byAddress.get(to)
        if (isLost || peer === undefined || !peer.isRunning) return
        const way = `${from.nodeId}>${peer.nodeId}`
        if (this.cuts.has(way) || this.datagramCuts.has(way)) return
        this.#deliver(peer, () => {
          const sender = { nodeId: from.nodeId, address: from.address }
          for (const message of readPacket(bytes).messages) {
            if (message.kind !== 'payload') peer.swim.receive(message, sender, this.#ms())
          }
        })
      })
    }
  }

  #overStream(from: WorldNode, to: Address, answer: (peer: WorldNode) => void): void {
    this.#after(this.#delay() * 2, () => {
      const peer = this.#byAddress.get(to)
      if (peer === undefined || peer.isPaused || !this.#canStream(from, peer)) return
      this.#deliver(from, () => answer(peer))
    })
  }

  #deliver(node: WorldNode, act: () => void): void {
    const deliver = () => {
      if (!node.isRunning) return
      act()
      this.#carryOut(node)
    }
    if (node.isPaused) node.waiting.push(deliver)
    else deliver()
  }

  #canStream(a: WorldNode, b: WorldNode): boolean {
    const isCut =
      this.cuts.has(`${a.nodeId}>${b.nodeId}`) || this.cuts.has(`${b.nodeId}>${a.nodeId}`)
    return a.isRunning && b.isRunning && !isCut
  }

  /** Invariant 11: an incarnation only rises, and only by its owner. */
  #check(node: WorldNode): void {
    const seen = this.#seen.get(node.swim) ?? new Map<NodeId, number>()
    this.#seen.set(node.swim, seen)
    const own = node.swim.self().incarnation
    if (own < node.lastIncarnation) throw new Error(`${node.nodeId} lowered its incarnation`)
    node.lastIncarnation = own
    this.#highestOwn.set(node.nodeId, Math.max(own, this.#highestOwn.get(node.nodeId) ?? 0))
    for (const { nodeId, incarnation } of node.swim.members()) {
      if (incarnation < (seen.get(nodeId) ?? 0)) {
        throw new Error(`${node.nodeId} sees ${nodeId} go back to ${incarnation}`)
      }
      seen.set(nodeId, incarnation)
      if (incarnation > (this.#highestOwn.get(nodeId) ?? 0)) {
        throw new Error(`${node.nodeId} sees ${nodeId} at ${incarnation}, which it never was`)
      }
    }
  }

  #after(ms: number, run: () => void): void {
    const scheduled = { at: this.now + ms, order: this.#order++, run }
    let low = 0
    let high = this.#scheduled.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#scheduled[middle] as Scheduled).at <= scheduled.at) low = middle + 1
      else high = middle
    }
    this.#scheduled.splice(low, 0, scheduled)
  }

  #delay(): number {
    return 0.5 + this.random.nextFloat() * this.delayMaxMs
  }

  #ms(): MonotonicMs {
    return this.now as MonotonicMs
  }
}
