import type { Quality, QualityPart } from '../core/health-views.js'
/**
 * The composite quality of a path, 0…1, from up to four parts, each 0…1:
 *
 *   latency   1 / (1 + rtt / latencyHalfMs)          0.5 at a round trip of latencyHalfMs
 *   jitter    1 / (1 + jitter / jitterHalfMs)        0.5 at jitterHalfMs
 *   loss      1 / (1 + loss / lossHalfRate)          0.5 at lossHalfRate
 *   answered  answered checks / checks               of the newest checks
 *
 *   quality = Π part ^ (weight / Σ weights of the known parts)
 *
 * A weighted geometric mean, so that one part near zero is not outvoted by three good ones. A part
 * that is not known takes no part, and its weight goes to the others; without an answered check
 * there is no quality but what `answered` says.
 */
export const qualityWeights = { latency: 0.35, jitter: 0.15, loss: 0.3, answered: 0.2 } as const
export interface QualityInputs {
  readonly rttMs: number | null
  readonly jitterMs: number | null
  /** 0…1 */
  readonly lossRate: number | null
  /** 0…1 */
  readonly answeredRate: number | null
}

/** Where a part is worth one half. */
export interface QualityHalves {
  readonly latencyHalfMs: number
  readonly jitterHalfMs: number
  readonly lossHalfRate: number
}

const partNames: readonly QualityPart[] = ['latency', 'jitter', 'loss', 'answered']

export function qualityOf(inputs: QualityInputs, halves: QualityHalves): Quality {
  const parts = {
    latency: halving(inputs.rttMs, halves.latencyHalfMs),
    jitter: halving(inputs.jitterMs, halves.jitterHalfMs),
    loss: halving(inputs.lossRate, halves.lossHalfRate),
    answered: inputs.answeredRate
  }
  let logarithms = 0
  let weights = 0
  for (const name of partNames) {
    const part = parts[name]
    if (part === null) continue
    logarithms += qualityWeights[name] * Math.log(part)
    weights += qualityWeights[name]
  }
  return { value: weights === 0 ? null : Math.exp(logarithms / weights), parts }
}

const halving = (value: number | null, half: number): number | null =>
  value === null ? null : 1 / (1 + Math.max(0, value) / half)
