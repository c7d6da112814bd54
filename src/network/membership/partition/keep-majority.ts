import { reachableOf, type SplitStrategy, stay, yieldTo } from './strategy.js'

/** The side with more than half goes on; of two halves, the one with the lowest id. */
export const keepMajority: SplitStrategy = {
  name: 'keep-majority',
  decide(view) {
    const { electorate } = view
    const reachable = reachableOf(view).length
    const share = `${reachable} of ${electorate.length} are on this side`
    if (2 * reachable > electorate.length) return stay(share)
    const [lowest] = electorate
    if (2 * reachable < electorate.length || lowest === undefined) return yieldTo(share)
    return lowest.isReachable
      ? stay(`${share}, with ${lowest.nodeId}, the lowest id`)
      : yieldTo(`${share}, without ${lowest.nodeId}, the lowest id`)
  }
}
