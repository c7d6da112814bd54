import { compareText, type GroupId, type NodeId } from '../../core/ids.js'

/** Who votes in the groups with a replica here, all of them taken together. */
export class HostedVoters {
  readonly #votersOf = new Map<GroupId, readonly NodeId[]>()
  /** In how many groups each of them votes. */
  readonly #groupsOf = new Map<NodeId, number>()

  get voters(): readonly NodeId[] {
    return [...this.#groupsOf.keys()].sort(compareText)
  }

  /** Looks at this group alone. True: other nodes vote than before. */
  note(group: GroupId, voters: readonly NodeId[]): boolean {
    const before = this.#votersOf.get(group) ?? []
    if (before === voters) return false
    this.#votersOf.set(group, voters)
    let isChanged = false
    for (const voter of voters) {
      const count = this.#groupsOf.get(voter) ?? 0
      isChanged ||= count === 0
      this.#groupsOf.set(voter, count + 1)
    }
    for (const voter of before) {
      const count = (this.#groupsOf.get(voter) ?? 0) - 1
      isChanged ||= count === 0
      if (count === 0) this.#groupsOf.delete(voter)
      else this.#groupsOf.set(voter, count)
    }
    return isChanged
  }
}
