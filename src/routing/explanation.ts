/** Words what a slot of the decision log holds. */

import type { Random } from '../core/ports/random.js'
import type { RouteCandidate, RouteDecision, RouteExplanation } from '../core/route-views.js'
import type { NodeScore, StrategyExplanation } from '../core/routing-strategy.js'
import type { DecisionSlot } from './decision-log.js'
import { exclusionAt, type Judged } from './eligibility.js'
import type { LoadReader } from './load-history.js'
import { unscored } from './strategies/unscored.js'

/** @param reader that was asked for no decision older than this one */
export function explainSlot(
  slot: DecisionSlot,
  reader: LoadReader,
  random: Random
): RouteExplanation {
  const { id, judged, notes, refusal, wallNow, now } = slot
  const told = slot.node === null ? null : explanationOf(slot, reader, random)
  const scores = new Map<string, NodeScore>()
  for (const score of told?.scores ?? []) scores.set(score.node, score)
  const decision = told === null ? null : decisionOf(slot, told.reason)
  const candidates = judged.map((entry) => candidateOf(entry, scores.get(entry.node), now))
  return { id, decision, refusal, candidates, notes, decidedAt: wallNow }
}

function decisionOf(slot: DecisionSlot, reason: string): RouteDecision | null {
  const { node, group, kind, consistency, strategyName, term, key } = slot
  if (node === null) return null
  const strategy = strategyName
  return { node, group, kind, consistency, strategy, reason: `${node}: ${reason}`, term, key }
}

function explanationOf(
  slot: DecisionSlot,
  reader: LoadReader,
  random: Random
): StrategyExplanation {
  const { strategy, chosen, now, replicasNear, mark, memo } = slot
  const eligible = slot.eligible.map((load) => reader.at(mark, load))
  const explained = strategy?.explain?.(eligible, chosen, { now, random, replicasNear, memo })
  const words = slot.reason ?? explained?.reason ?? 'chosen by the strategy'
  return { reason: words, scores: explained?.scores ?? unscored(eligible, words).scores }
}

const candidateOf = (entry: Judged, score: NodeScore | undefined, now: number): RouteCandidate => ({
  node: entry.node,
  eligible: entry.exclusion === null,
  exclusion: exclusionAt(entry, now),
  score: score?.score ?? null,
  factors: score?.factors ?? []
})
