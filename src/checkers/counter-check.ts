/**
 * Judges counters: `append` adds a number to a key, `read` answers the sum, `write` opens it with
 * one before anything else.
 *
 * A read is between what was surely added when it began and what may have been added when it ended
 * (Jepsen's `counter`, with additions of either sign). With nothing of unknown outcome and nothing
 * on the way, these are one number.
 */
import { InvalidArgumentError } from '../core/errors.js'
import type { Operation } from './history.js'

export interface CounterFault {
  readonly key: string
  readonly process: string
  readonly read: number
  readonly min: number
  readonly max: number
}

interface Addition {
  readonly amount: number
  readonly invokedAt: number
  readonly completedAt: number
}

/** @throws InvalidArgumentError a value is no number */
export function checkCounters(operations: readonly Operation[]): CounterFault[] {
  const byKey = new Map<string, Operation[]>()
  for (const operation of operations) {
    const ofKey = byKey.get(operation.key)
    if (ofKey === undefined) byKey.set(operation.key, [operation])
    else ofKey.push(operation)
  }
  return [...byKey].flatMap(([key, ofKey]) => faultsOf(key, ofKey))
}

function faultsOf(key: string, operations: readonly Operation[]): CounterFault[] {
  const additions = operations
    .filter(({ op }) => op === 'append' || op === 'write')
    .map(({ op, input, invokedAt, completedAt }) => ({
      amount: numberOf(input),
      // Nobody reads a counter before it is opened.
      invokedAt: op === 'write' ? -1 : invokedAt,
      completedAt: op === 'write' ? -1 : completedAt
    }))
  const done = new Sums(additions, ({ completedAt }) => completedAt)
  const begun = new Sums(additions, ({ invokedAt }) => invokedAt)
  const faults: CounterFault[] = []
  for (const { op, process, output, invokedAt, completedAt } of operations) {
    if (op !== 'read' || !Number.isFinite(completedAt)) continue
    const surely = done.before(invokedAt)
    const perhaps = begun.before(completedAt)
    const min = surely.negative + surely.positive + (perhaps.negative - surely.negative)
    const max = surely.negative + surely.positive + (perhaps.positive - surely.positive)
    const read = numberOf(output)
    if (read < min || read > max) faults.push({ key, process, read, min, max })
  }
  return faults
}

/** What was added before a moment, by sign. */
class Sums {
  readonly #times: number[]
  readonly #negative: number[] = [0]
  readonly #positive: number[] = [0]

  constructor(additions: readonly Addition[], timeOf: (addition: Addition) => number) {
    const sorted = [...additions].sort((a, b) => timeOf(a) - timeOf(b))
    this.#times = sorted.map(timeOf)
    for (const { amount } of sorted) {
      this.#negative.push((this.#negative.at(-1) ?? 0) + Math.min(0, amount))
      this.#positive.push((this.#positive.at(-1) ?? 0) + Math.max(0, amount))
    }
  }

  before(time: number): { readonly negative: number; readonly positive: number } {
    let low = 0
    let high = this.#times.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#times[middle] as number) < time) low = middle + 1
      else high = middle
    }
    return { negative: this.#negative[low] ?? 0, positive: this.#positive[low] ?? 0 }
  }
}

function numberOf(value: unknown): number {
  if (typeof value === 'number') return value
  throw new InvalidArgumentError('history', 'value: a counter is no number')
}
