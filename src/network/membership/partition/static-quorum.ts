import { reachableOf, type SplitStrategy, stay, yieldTo } from './strategy.js'

/**
 * The side with at least `size` goes on. At most one side has so many only while there are fewer
 * than twice `size` in all: where there are more, no side goes on.
 */
export function staticQuorum(size: number): SplitStrategy {
  return {
    name: 'static-quorum',
    decide(view) {
      const reachable = reachableOf(view).length
      const total = view.electorate.length
      if (total >= 2 * size) return yieldTo(`a quorum of ${size} decides nothing among ${total}`)
      const share = `${reachable} are on this side, the quorum is ${size}`
      return reachable >= size ? stay(share) : yieldTo(share)
    }
  }
}
