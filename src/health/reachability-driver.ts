import type { Config } from '../core/config/schema.js'
import { after } from '../core/deadlines.js'
import { BackpressureError } from '../core/errors.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import { datagramExtraBytesMax } from '../core/limits.js'
import type { Member } from '../core/member.js'
import type { Clock } from '../core/ports/clock.js'
import type { Messenger } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import type { DatagramWay, Reachability } from '../core/reachability.js'
import { factsOf } from '../core/remote-error.js'
import type { TrainReport } from './loss-trains.js'
import { datagramsBack, latencyPing, lossReport, writeLossProbe } from './messages.js'
import type { PeerHealth } from './peer-health.js'
import type { ProbeDatagrams } from './ports.js'
import { findingOf } from './reachability.js'

/** Nodes that one test asks at the same time. */
const nodesAtOnceMax = 8
/** Datagrams of each size, each way. */
const datagramsPerSize = 5
/** Tests of others that a node sends datagrams for in one second. */
export const datagramsBackServedMax = 16
const servedWindowMs = 1_000
/** The last datagrams may be on their way so long before they are counted. */
const datagramGraceMs = 500

export interface ReachabilityComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly datagrams: ProbeDatagrams | null
  readonly peerOf: (nodeId: NodeId) => PeerHealth | null
}

/**
 * Tests on demand whether nodes can be reached: by stream, by small datagrams and by those of full
 * size, both ways. One test at a time; others' tests are served within a bound, and nobody is sent
 * a datagram who has not asked over a connection of its own.
 */
export class ReachabilityTests {
  readonly #components: ReachabilityComponents
  readonly #config: Config['health']
  #train: number
  #isTesting = false
  #served = 0
  #servedSince: MonotonicMs

  constructor(components: ReachabilityComponents, config: Config['health']) {
    this.#components = components
    this.#config = config
    this.#train = components.random.nextUint32()
    this.#servedSince = components.clock.now()
    components.messenger.onRequest(datagramsBack, async ({ from, body }) => {
      this.#countServed()
      return { sent: this.#sendTrains(from, body.train) ? datagramsPerSize : 0 }
    })
  }

  /**
   * In the order of `members`.
   * @throws BackpressureError a test of this node is running
   */
  async test(members: readonly Member[]): Promise<Reachability[]> {
    if (this.#isTesting) throw new BackpressureError('a reachability test is running')
    this.#isTesting = true
    const found: Reachability[] = []
    let next = 0
    const lane = async (): Promise<void> => {
      while (next < members.length) {
        const at = next++
        found[at] = await this.#testOne(members[at] as Member)
      }
    }
    try {
      await Promise.all(Array.from({ length: nodesAtOnceMax }, lane))
    } finally {
      this.#isTesting = false
    }
    return found
  }

  async #testOne({ nodeId, address }: Member): Promise<Reachability> {
    const { clock, messenger } = this.#components
    const askedAt = clock.now()
    const options = { deadline: this.#deadline(), direct: true }
    try {
      await messenger.request(nodeId, latencyPing, { sequence: 0 }, options)
    } catch (thrown) {
      const heard = { roundTripMs: null, out: null, back: null }
      return { nodeId, address, finding: findingOf(heard), error: factsOf(thrown), ...heard }
    }
    const roundTripMs = clock.now() - askedAt
    const [out, back] = await Promise.all([this.#testOut(nodeId), this.#testBack(nodeId)])
    const heard = { roundTripMs, out, back }
    return { nodeId, address, finding: findingOf(heard), error: null, ...heard }
  }

  async #testOut(to: NodeId): Promise<DatagramWay | null> {
    const { messenger } = this.#components
    const train = this.#takeTrains()
    if (!this.#sendTrains(to, train)) return null
    await this.#grace()
    const deadline = this.#deadline()
    const ask = (of: number) => messenger.request(to, lossReport, { train: of }, { deadline })
    return Promise.all([ask(train), ask(fullTrainOf(train))]).then(
      ([small, full]) => wayOf(datagramsPerSize, small, full),
      () => null
    )
  }

  /** The peer sends, and this node counts. */
  async #testBack(from: NodeId): Promise<DatagramWay | null> {
    const { messenger, peerOf, datagrams } = this.#components
    if (datagrams === null) return null
    const train = this.#takeTrains()
    const options = { deadline: this.#deadline() }
    const asked = messenger.request(from, datagramsBack, { train }, options)
    const sent = await asked.then(
      (answer) => answer.sent,
      () => 0
    )
    if (sent === 0) return null
    await this.#grace()
    const trains = peerOf(from)?.trains
    if (trains === undefined) return null
    return wayOf(sent, trains.takeReport(train), trains.takeReport(fullTrainOf(train)))
  }

  /** False: not all of them could be sent. */
  #sendTrains(to: NodeId, train: number): boolean {
    const { datagrams } = this.#components
    if (datagrams === null) return false
    const send = (of: number, sequence: number, sizeBytes: number) =>
      datagrams.send(
        to,
        writeLossProbe({ train: of, sequence, count: datagramsPerSize }, sizeBytes)
      )
    for (let sequence = 0; sequence < datagramsPerSize; sequence++) {
      if (!send(train, sequence, 0)) return false
      if (!send(fullTrainOf(train), sequence, datagramExtraBytesMax)) return false
    }
    return true
  }

  #countServed(): void {
    const now = this.#components.clock.now()
    if (now >= after(this.#servedSince, servedWindowMs)) {
      this.#servedSince = now
      this.#served = 0
    }
    this.#served++
    if (this.#served > datagramsBackServedMax) {
      throw new BackpressureError('too many reachability tests')
    }
  }

  /** A number for the small ones; the next is that of the full ones. */
  #takeTrains(): number {
    this.#train = (this.#train + 2) >>> 0
    return this.#train
  }

  #deadline(): MonotonicMs {
    return after(this.#components.clock.now(), this.#config.latencyTimeoutMs)
  }

  #grace(): Promise<void> {
    const { clock } = this.#components
    return new Promise((resolve) => {
      clock.schedule(after(clock.now(), datagramGraceMs), resolve)
    })
  }
}

const fullTrainOf = (train: number): number => (train + 1) >>> 0

const wayOf = (sent: number, small: TrainReport, full: TrainReport): DatagramWay => ({
  small: { sent, received: small.received },
  full: { sent, received: full.received }
})
