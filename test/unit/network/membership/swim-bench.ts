/** One membership core, one step at a time, and what it hears. */
import {
  type Incarnation,
  type MemberEvent,
  type MetadataEvent,
  type MonotonicMs,
  type NodeId,
  type PartitionEvent,
  SplittableRandom,
  unstatedCapacity,
  type WallMs
} from '../../../../src/core/index.js'
import type { DatagramMessage, Statement } from '../../../../src/network/membership/messages.js'
import { Swim } from '../../../../src/network/membership/swim.js'
import type { SwimSend } from '../../../../src/network/membership/swim-state.js'
import { isMemberEvent, type MembershipConfig, membershipConfig } from './swim-world.js'

export const id = (name: string): NodeId => name as NodeId
export const ms = (value: number): MonotonicMs => value as MonotonicMs
export const inc = (value: number): Incarnation => value as Incarnation

export const statementOf = (name: string, change: Partial<Statement> = {}): Statement => ({
  nodeId: id(name),
  incarnation: inc(1),
  address: `${name}:1`,
  lifecycle: 'up',
  health: 'healthy',
  datacenter: '',
  rack: '',
  metadata: {},
  capacity: unstatedCapacity,
  tags: [],
  versionMin: 1,
  versionMax: 1,
  bornAt: 0,
  ...change
})

/** A probe begins where the last one ends, and a suspicion may be as short as the formula says. */
const publishedTimes = {
  probeIntervalMs: 500,
  probeTimeoutMs: 250,
  suspicionFloorMs: 0,
  mutualProbes: false
}

/** One core whose effects are kept for the test to look at. */
export class Bench {
  readonly swim: Swim
  events: MemberEvent[] = []
  partitions: PartitionEvent[] = []
  metadata: MetadataEvent[] = []
  sent: SwimSend[] = []
  now = 0

  constructor(members: readonly string[], change: Partial<MembershipConfig> = {}) {
    this.swim = new Swim(
      { random: SplittableRandom.fromSeed(5) },
      {
        nodeId: id('me'),
        address: 'me:1',
        datacenter: '',
        rack: '',
        metadata: {},
        capacity: unstatedCapacity,
        tags: [],
        versions: { min: 1, max: 1 },
        bornAt: 0 as WallMs,
        config: membershipConfig({ ...publishedTimes, ...change })
      },
      ms(0)
    )
    for (const name of members) this.hear({ kind: 'statement', statement: statementOf(name) }, name)
    this.events = []
    this.sent = []
  }

  hear(message: DatagramMessage, from = 'x'): void {
    this.swim.receive(message, { nodeId: id(from), address: `${from}:1` }, ms(this.now))
    this.drain()
  }

  act(act: (swim: Swim, now: MonotonicMs) => void): void {
    act(this.swim, ms(this.now))
    this.drain()
  }

  /** Lets time pass, firing each deadline when it is due. */
  pass(duration: number): void {
    const end = this.now + duration
    while (this.swim.nextDeadline() <= end) {
      this.now = Math.max(this.now, this.swim.nextDeadline())
      this.act((swim, now) => swim.handleTimeout(now))
    }
    this.now = end
  }

  /** Begins to probe; stops at the moment of the first ping and answers it. */
  firstPing(): { sequence: number; target: NodeId } {
    this.act((swim, now) => swim.start(now))
    for (let tries = 0; tries < 1_000; tries++) {
      this.now = this.swim.nextDeadline()
      this.act((swim, now) => swim.handleTimeout(now))
      for (const effect of this.sent) {
        if (effect.kind !== 'datagram') continue
        for (const message of effect.messages) if (message.kind === 'ping') return message
      }
    }
    throw new Error('nobody is probed')
  }

  drain(): void {
    const { sendNow, emit } = this.swim.drainEffects()
    this.sent.push(...sendNow)
    for (const event of emit) {
      if (isMemberEvent(event)) this.events.push(event)
      else if (event.type === 'MetadataChanged') this.metadata.push(event)
      else this.partitions.push(event)
    }
  }

  messagesTo(name: string): DatagramMessage[] {
    return this.sent.flatMap((effect) =>
      effect.kind === 'datagram' && effect.to === `${name}:1` ? effect.messages : []
    )
  }

  /** What was said to `name`, without rumours about third parties. */
  sentOf<Kind extends DatagramMessage['kind']>(
    name: string,
    kind: Kind
  ): Extract<DatagramMessage, { kind: Kind }>[] {
    return this.messagesTo(name).filter(
      (message): message is Extract<DatagramMessage, { kind: Kind }> => message.kind === kind
    )
  }

  pings(): Extract<DatagramMessage, { kind: 'ping' }>[] {
    return this.sent.flatMap((effect) =>
      effect.kind === 'datagram' ? effect.messages.filter((message) => message.kind === 'ping') : []
    )
  }

  eventTypes(): string[] {
    return this.events.map(({ type }) => type)
  }
}

export const suspect = (name: string, incarnation = 1, accuser = 'x'): DatagramMessage => ({
  kind: 'suspect',
  nodeId: id(name),
  incarnation: inc(incarnation),
  accuser: id(accuser)
})
export const dead = (name: string, incarnation = 1, accuser = 'x'): DatagramMessage => ({
  ...(suspect(name, incarnation, accuser) as Extract<DatagramMessage, { kind: 'suspect' }>),
  kind: 'dead'
})
export const stated = (name: string, change: Partial<Statement>): DatagramMessage => ({
  kind: 'statement',
  statement: statementOf(name, change)
})
