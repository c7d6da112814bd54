import { compareText } from '../../../core/ids.js'
import { reachableOf, type SplitMember, type SplitStrategy, stay, yieldTo } from './strategy.js'

/** The side of the oldest goes on, unless the oldest stands alone against two or more. */
export const keepOldest: SplitStrategy = {
  name: 'keep-oldest',
  decide(view) {
    const { electorate } = view
    const oldest = [...electorate].sort(byAge)[0]
    if (oldest === undefined) return yieldTo('nobody counts')
    const reachable = reachableOf(view).length
    const sideOfOldest = oldest.isReachable ? reachable : electorate.length - reachable
    const isAlone = sideOfOldest === 1 && electorate.length > 2
    const where = oldest.isReachable ? 'on this side' : 'on the other side'
    const reason = `${oldest.nodeId}, the oldest, is ${where}${isAlone ? ', alone' : ''}`
    return oldest.isReachable === isAlone ? yieldTo(reason) : stay(reason)
  }
}

const byAge = (a: SplitMember, b: SplitMember): number =>
  a.bornAt - b.bornAt || compareText(a.nodeId, b.nodeId)
