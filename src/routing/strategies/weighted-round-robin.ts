import type { NodeId } from '../../core/ids.js'
import {
  type EligibleNode,
  type RoutingStrategy,
  type StrategyContext,
  StrategyNames
} from '../../core/routing-strategy.js'

interface Turn {
  credit: number
}

/**
 * Smooth weighted round robin, as nginx does it: each choice gives every node its weight in
 * credit, the richest is taken and pays what all were given. Weights 5, 1, 1 give a a b a c a a,
 * not a a a a a b c.
 *
 * 1. Over any span in which the set stays, a node is taken in proportion to its weight, give or
 *    take half as many as there are nodes.
 * 2. The credit of a node that went away is forgotten: it comes back without arrears.
 */
export class WeightedRoundRobinStrategy implements RoutingStrategy {
  readonly name = StrategyNames.WeightedRoundRobin
  readonly #turns = new Map<NodeId, Turn>()

  choose(eligible: readonly EligibleNode[], _context: StrategyContext): number {
    if (this.#turns.size > eligible.length) this.#forgetOthers(eligible)
    let chosen = 0
    let richest: Turn | null = null
    let given = 0
    for (let i = 0; i < eligible.length; i++) {
      const { node, weight } = eligible[i] as EligibleNode
      const turn = this.#turns.get(node) ?? this.#begin(node)
      turn.credit += weight
      given += weight
      if (richest !== null && turn.credit <= richest.credit) continue
      richest = turn
      chosen = i
    }
    if (richest !== null) richest.credit -= given
    return chosen
  }

  explain(eligible: readonly EligibleNode[], chosen: number) {
    const most = Math.max(...eligible.map(({ weight }) => weight))
    const scores = eligible.map(({ node, weight }) => {
      const name = 'weight'
      const factors = [{ name, raw: weight, normalized: weight / most, weight: 1, ageMs: null }]
      return { node, score: null, factors }
    })
    const { weight } = eligible[chosen] as EligibleNode
    return { reason: `its turn by weight (${weight})`, scores }
  }

  #begin(node: NodeId): Turn {
    const turn = { credit: 0 }
    this.#turns.set(node, turn)
    return turn
  }

  #forgetOthers(eligible: readonly EligibleNode[]): void {
    for (const node of this.#turns.keys()) {
      if (!eligible.some((one) => one.node === node)) this.#turns.delete(node)
    }
  }
}
