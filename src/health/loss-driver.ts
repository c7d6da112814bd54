import type { Config } from '../core/config/schema.js'
import { DeadlineTimer } from '../core/deadline-timer.js'
import { after } from '../core/deadlines.js'
import { BackpressureError } from '../core/errors.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Logger } from '../core/ports/logger.js'
import type { Messenger } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import { factsOf } from '../core/remote-error.js'
import { trainLengthMax } from './loss-trains.js'
import { lossReport, readLossProbe, writeLossProbe } from './messages.js'
import type { PeerHealth } from './peer-health.js'
import type { ProbeDatagrams } from './ports.js'

/** The last datagrams of a train may be on their way so long before the count is asked for. */
const trainGraceMs = 500

export interface LossComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly datagrams: ProbeDatagrams | null
  readonly logger: Logger
  readonly peerOf: (nodeId: NodeId) => PeerHealth | null
}

/** One train at a time to all neighbours, one datagram to each per step. */
export class LossRounds {
  readonly #components: LossComponents
  readonly #config: Config['health']
  readonly #timer: DeadlineTimer
  #train: number
  #sequence = 0
  #targets: readonly PeerHealth[] = []
  /** Who could not be sent every datagram of the train: its count would mean nothing. */
  readonly #unsent = new Set<NodeId>()
  #isStopped = false
  #trains = 0

  constructor(components: LossComponents, config: Config['health']) {
    this.#components = components
    this.#config = config
    this.#train = components.random.nextUint32()
    this.#timer = new DeadlineTimer(components.clock, () => this.#step())
    const { datagrams, messenger } = components
    datagrams?.onDatagram((from, payload) => this.#handleDatagram(from, payload))
    messenger.onRequest(lossReport, async ({ from, body }) => {
      const peer = components.peerOf(from)
      if (peer === null) throw new BackpressureError('more peers than are measured')
      return peer.trains.takeReport(body.train)
    })
  }

  /** Trains that were counted. */
  get trains(): number {
    return this.#trains
  }

  begin(targets: readonly PeerHealth[]): void {
    if (this.#components.datagrams === null || this.#isStopped) return
    this.#train = (this.#train + 1) >>> 0
    this.#sequence = 0
    this.#targets = targets
    this.#unsent.clear()
    this.#step()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer.stop()
  }

  #step(): void {
    const { clock } = this.#components
    const { lossTrainLength, lossTrainSpacingMs } = this.#config
    if (this.#sequence === lossTrainLength) {
      void this.#askReports()
      return
    }
    const payload = this.#probe()
    for (const { nodeId } of this.#targets) {
      if (!this.#components.datagrams?.send(nodeId, payload)) this.#unsent.add(nodeId)
    }
    this.#sequence++
    const isLast = this.#sequence === lossTrainLength
    this.#timer.arm(after(clock.now(), isLast ? trainGraceMs : lossTrainSpacingMs))
  }

  #probe(): Uint8Array {
    const count = this.#config.lossTrainLength
    return writeLossProbe({ train: this.#train, sequence: this.#sequence, count })
  }

  async #askReports(): Promise<void> {
    const { clock } = this.#components
    const deadline = after(clock.now(), this.#config.latencyTimeoutMs)
    const train = this.#train
    const targets = this.#targets.filter(({ nodeId }) => !this.#unsent.has(nodeId))
    await Promise.all(targets.map((peer) => this.#askReport(peer, train, deadline)))
  }

  async #askReport(peer: PeerHealth, train: number, deadline: MonotonicMs): Promise<void> {
    const { messenger, logger } = this.#components
    const sent = this.#config.lossTrainLength
    try {
      const report = await messenger.request(peer.nodeId, lossReport, { train }, { deadline })
      if (this.#isStopped || report.received > sent) return
      peer.loss.push(sent, report)
      this.#trains++
    } catch (error) {
      logger.debug({ nodeId: peer.nodeId, ...factsOf(error) }, 'a train was not counted')
    }
  }

  /** What is no datagram of a train is somebody else's. */
  #handleDatagram(from: NodeId, payload: Uint8Array): void {
    const probe = this.#isStopped ? null : readLossProbe(payload)
    if (probe === null) return
    const { train, sequence, count } = probe
    if (count > trainLengthMax || sequence >= count) return
    this.#components.peerOf(from)?.trains.handleProbe(train, sequence)
  }
}
