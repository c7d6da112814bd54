import type { Reliability } from '../../../src/core/index.js'
import { type Break, Breaks, type ExchangePlan, exchange } from './exchange.js'

export interface Sweep {
  readonly what: Break
  readonly reliability: Reliability
  readonly direction: ExchangePlan['direction']
  readonly exchanges: number
  readonly faults: readonly string[]
  readonly outcomes: Readonly<Record<string, number>>
  readonly duplicates: number
  readonly retries: number
}

const reliabilities = ['acked', 'ordered'] as const
const directions = ['dialler', 'acceptor'] as const

/** Every combination, each broken at every `stride`-th byte of what an unbroken one carries. */
export async function* sweeps(stride: number): AsyncIterable<Sweep> {
  for (const what of Object.values(Breaks)) {
    for (const reliability of reliabilities) {
      for (const direction of directions) {
        yield await sweep({ what, reliability, direction }, stride)
      }
    }
  }
}

async function sweep(plan: Omit<ExchangePlan, 'atByte'>, stride: number): Promise<Sweep> {
  const calm = await exchange({ ...plan, atByte: Number.POSITIVE_INFINITY })
  const length = calm.deliveredBytes[plan.direction === 'dialler' ? 0 : 1]
  const faults = [...calm.faults]
  const outcomes: Record<string, number> = {}
  let [exchanges, duplicates, retries] = [0, 0, 0]
  for (let atByte = 1; atByte <= length; atByte += stride) {
    const told = await exchange({ ...plan, atByte })
    exchanges++
    duplicates += told.duplicates
    retries += told.retries
    for (const [outcome, count] of Object.entries(told.outcomes)) {
      outcomes[outcome] = (outcomes[outcome] ?? 0) + count
    }
    faults.push(...told.faults.map((fault) => `byte ${atByte}: ${fault}`))
  }
  return { ...plan, exchanges, faults, outcomes, duplicates, retries }
}
