/**
 * Packet loss, one way, by trains: the sender numbers a train's datagrams, the receiver counts
 * which numbers came, and the sender asks for that count over the reliable stream afterwards. So
 * loss of the answers cannot be taken for loss of the train. Over TCP loss is invisible; a single
 * probe now and then says nothing about a rate, hence the interval and "insufficient data".
 *
 * Invariants:
 * 1. a datagram counts once, however often it arrives;
 * 2. a train that nobody could be asked about counts as nothing: neither lost nor received;
 * 3. both tables are bounded; the oldest train makes room.
 */
import { assert } from '../core/assert.js'
import type { LossEstimate } from '../core/health-views.js'
import { wilson } from './wilson.js'

/** Datagrams of one train; a bit each at the receiver. */
export const trainLengthMax = 256
/** Unfinished trains that a receiver counts for one sender. */
export const trainsHeardMax = 4

export interface TrainReport {
  readonly received: number
  readonly duplicates: number
  /** Arrived after a later number had. */
  readonly reordered: number
}

/** The sender's side, for one peer: the newest trains. */
export class LossWindow {
  readonly #trainsMax: number
  readonly #sentMin: number
  readonly #trains: { readonly sent: number; readonly lost: number }[] = []

  /** @param sentMin with fewer datagrams than this the rate is not told */
  constructor(options: { readonly trainsMax: number; readonly sentMin: number }) {
    this.#trainsMax = options.trainsMax
    this.#sentMin = options.sentMin
  }

  push(sent: number, report: TrainReport): void {
    assert(sent > 0 && report.received <= sent, `${report.received} of ${sent} received`)
    this.#trains.push({ sent, lost: sent - report.received })
    if (this.#trains.length > this.#trainsMax) this.#trains.shift()
  }

  estimate(): LossEstimate {
    let sent = 0
    let lost = 0
    for (const train of this.#trains) {
      sent += train.sent
      lost += train.lost
    }
    if (sent < this.#sentMin) return { kind: 'insufficientData', sent, needed: this.#sentMin }
    return { kind: 'measured', sent, lost, rate: lost / sent, interval: wilson(lost, sent) }
  }
}

interface HeardTrain {
  readonly train: number
  readonly seen: Uint32Array
  received: number
  duplicates: number
  reordered: number
  highest: number
}

/** The receiver's side, for one peer. */
export class TrainCounter {
  readonly #trains: HeardTrain[] = []

  handleProbe(train: number, sequence: number): void {
    if (sequence >= trainLengthMax) return
    const heard = this.#trains.find((other) => other.train === train) ?? this.#begin(train)
    const word = sequence >>> 5
    const bit = 1 << (sequence & 31)
    if (((heard.seen[word] as number) & bit) !== 0) {
      heard.duplicates++
      return
    }
    heard.seen[word] = (heard.seen[word] as number) | bit
    heard.received++
    if (sequence < heard.highest) heard.reordered++
    else heard.highest = sequence
  }

  /** What came of the train so far; it is forgotten. */
  takeReport(train: number): TrainReport {
    const at = this.#trains.findIndex((other) => other.train === train)
    const [heard] = at < 0 ? [] : this.#trains.splice(at, 1)
    if (heard === undefined) return { received: 0, duplicates: 0, reordered: 0 }
    const { received, duplicates, reordered } = heard
    return { received, duplicates, reordered }
  }

  #begin(train: number): HeardTrain {
    if (this.#trains.length === trainsHeardMax) this.#trains.shift()
    const seen = new Uint32Array(trainLengthMax / 32)
    const heard = { train, seen, received: 0, duplicates: 0, reordered: 0, highest: -1 }
    this.#trains.push(heard)
    return heard
  }
}
