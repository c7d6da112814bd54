/** Everything this node measured of one peer. */
import type { Config } from '../core/config/schema.js'
import type { Diagnosis } from '../core/health-verdict.js'
import type {
  Capacity,
  ClockDiagnosis,
  Distribution,
  LatencySummary,
  LossEstimate,
  MatrixCell,
  PeerSummary,
  Quality
} from '../core/health-views.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import { RingBuffer } from '../core/ring-buffer.js'
import { OffsetWindow } from './clock-offset.js'
import { Jitter } from './jitter.js'
import { LatencyWindow } from './latency-window.js'
import { LossWindow, TrainCounter } from './loss-trains.js'
import type { HealthAnswer, PongAnswer } from './messages.js'
import { qualityOf } from './quality.js'
import { diagnose } from './three-clocks.js'
import { ThroughputMeter } from './throughput.js'

type HealthConfig = Config['health']

/** A peer's monotonic clock that jumps by this much is another process's. */
const clockRestartMs = 60_000
/** Clock offsets of which the best is believed. */
const offsetWindowLength = 16

export interface Pong {
  readonly answer: PongAnswer
  readonly askedAt: MonotonicMs
  readonly askedWallMs: number
  readonly heardAt: MonotonicMs
}

/** What was known of the rest of the world when an answer came, or did not. */
export interface RoundContext {
  readonly localLoopDelayMs: number
  readonly othersAnswer: boolean
}

export class PeerHealth {
  readonly nodeId: NodeId
  /** Marks the peer's samples in the ring. */
  readonly tag: number
  readonly loss: LossWindow
  readonly trains = new TrainCounter()
  readonly throughput = new ThroughputMeter()
  capacity: Capacity | null = null
  distribution: Distribution | null = null
  report: HealthAnswer | null = null
  readonly #config: HealthConfig
  readonly #latency: LatencyWindow
  readonly #jitter = new Jitter()
  readonly #offsets = new OffsetWindow(offsetWindowLength)
  readonly #answers: RingBuffer<boolean>
  #transitMs = 0
  #failuresInRow = 0
  #measuredAt: MonotonicMs | null = null
  #diagnosis: ClockDiagnosis | null = null
  #remoteLoopDelayMs: number | null = null

  constructor(nodeId: NodeId, tag: number, config: HealthConfig) {
    this.nodeId = nodeId
    this.tag = tag
    this.#config = config
    this.#latency = new LatencyWindow(config.windowLengthMax)
    this.#answers = new RingBuffer(config.windowLengthMax)
    this.loss = new LossWindow({
      trainsMax: config.lossTrains,
      sentMin: config.lossDatagramsMin
    })
  }

  get failuresInRow(): number {
    return this.#failuresInRow
  }

  /** The path does not carry anything, as far as the optimiser cares. */
  get isOut(): boolean {
    return this.#failuresInRow >= this.#config.outageAfter
  }

  /** The round trip without the time that the peer held the question. */
  handlePong({ answer, askedAt, askedWallMs, heardAt }: Pong, context: RoundContext): number {
    const rttMs = heardAt - askedAt
    const pathMs = Math.max(0, rttMs - answer.heldMs)
    this.#diagnosis = diagnose(
      {
        rttMs,
        baselineMs: this.#latency.summary()?.p50Ms ?? null,
        localLoopDelayMs: context.localLoopDelayMs,
        remoteLoopDelayMs: answer.loopDelayMs,
        remoteHeldMs: answer.heldMs,
        othersAnswer: true
      },
      clockLimitsOf(this.#config)
    )
    this.#remoteLoopDelayMs = answer.loopDelayMs
    this.#latency.push(pathMs)
    this.#pushTransit(answer.receivedAtMs - askedAt)
    this.#offsets.push({
      askedAt: askedWallMs,
      receivedAt: answer.receivedWallMs,
      answeredAt: answer.receivedWallMs + answer.heldMs,
      // Our wall clock may have been set in between; the time that passed is the monotonic clock's.
      heardAt: askedWallMs + rttMs
    })
    this.#settle(true, heardAt)
    return pathMs
  }

  handleSilence(context: RoundContext, now: MonotonicMs): void {
    this.#diagnosis = diagnose(
      {
        rttMs: null,
        baselineMs: null,
        localLoopDelayMs: context.localLoopDelayMs,
        remoteLoopDelayMs: this.#remoteLoopDelayMs,
        remoteHeldMs: 0,
        othersAnswer: context.othersAnswer
      },
      clockLimitsOf(this.#config)
    )
    this.#settle(false, now)
  }

  /** Null: not measured yet. */
  diagnosis(): Diagnosis | null {
    return this.#diagnosis?.diagnosis ?? null
  }

  /** What others are told of the path; null: not measured yet. */
  cell(now: MonotonicMs): MatrixCell | null {
    if (this.#measuredAt === null) return null
    const isOut = this.isOut
    const latency = this.#latency.summary()
    if (latency === null && !isOut) return null
    const loss = this.loss.estimate()
    return {
      to: this.nodeId,
      rttMs: isOut ? null : (latency?.p50Ms ?? null),
      lossRate: loss.kind === 'measured' ? loss.rate : null,
      ageMs: Math.max(0, Math.round(now - this.#measuredAt))
    }
  }

  quality(): Quality {
    return this.#qualityOf(this.#latency.summary(), this.loss.estimate())
  }

  summary(): PeerSummary {
    const latency = this.#latency.summary()
    const loss = this.loss.estimate()
    return {
      nodeId: this.nodeId,
      latency,
      distribution: this.distribution,
      jitterMs: this.#jitter.ms,
      loss,
      throughput: this.throughput.throughput,
      capacity: this.capacity,
      clockOffset: this.#offsets.best(),
      answeredRate: this.#answeredRate(),
      failuresInRow: this.#failuresInRow,
      quality: this.#qualityOf(latency, loss),
      diagnosis: this.#diagnosis,
      report: this.report
    }
  }

  #qualityOf(latency: LatencySummary | null, loss: LossEstimate): Quality {
    return qualityOf(
      {
        rttMs: latency?.averageMs ?? null,
        jitterMs: this.#jitter.ms,
        lossRate: loss.kind === 'measured' ? loss.rate : null,
        answeredRate: this.#answeredRate()
      },
      this.#config
    )
  }

  #answeredRate(): number | null {
    const { length } = this.#answers
    if (length === 0) return null
    return this.#answers.toArray().filter((answered) => answered).length / length
  }

  #pushTransit(transitMs: number): void {
    if (Math.abs(transitMs - this.#transitMs) > clockRestartMs) this.#jitter.restart()
    this.#transitMs = transitMs
    this.#jitter.push(transitMs)
  }

  #settle(answered: boolean, now: MonotonicMs): void {
    this.#answers.push(answered)
    this.#failuresInRow = answered ? 0 : this.#failuresInRow + 1
    this.#measuredAt = now
  }
}

/** The network is slow above three times its usual round trip and this. */
const slowFactor = 3
const slowFloorMs = 20

const clockLimitsOf = ({ loopDelayMs }: HealthConfig) => ({ loopDelayMs, slowFactor, slowFloorMs })
