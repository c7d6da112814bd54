/** What guards a resource outside of the cluster against former leaders. */
import type { FencingToken } from '../../core/failover.js'
import type { GroupId } from '../../core/ids.js'

/** Negative: `a` is older. Tokens of one group only. */
export const compareTokens = (a: FencingToken, b: FencingToken): number =>
  a.term - b.term || a.index - b.index

/** Groups that one gate remembers. */
export const fencedGroupsMax = 4_096

/** What a resource does with tokens: it turns away whoever comes with an older one. */
export class FencingGate {
  readonly #latest = new Map<GroupId, FencingToken>()

  /** False: somebody has come with a newer one, or there is no room for another group. */
  admit(token: FencingToken): boolean {
    const latest = this.#latest.get(token.group)
    if (latest === undefined && this.#latest.size >= fencedGroupsMax) return false
    if (latest !== undefined && compareTokens(token, latest) < 0) return false
    this.#latest.set(token.group, token)
    return true
  }
}
