/** The invariants of every group: each is judged by itself, by what was seen of it. */
import { CONTROL_GROUP, DEFAULT_GROUP, type GroupId, groupName } from '../core/index.js'
import { ConsensusInvariants } from './consensus-invariants.js'
import { PromiseInvariants } from './promise-invariants.js'
import type { Violations } from './violations.js'

export interface JudgedGroup {
  readonly consensus: ConsensusInvariants
  readonly promises: PromiseInvariants
}

export class GroupWatch {
  readonly #size: number
  readonly #violations: Violations
  readonly #groups = new Map<GroupId, JudgedGroup>()

  constructor(size: number, violations: Violations) {
    this.#size = size
    this.#violations = violations
  }

  of(group: GroupId): JudgedGroup {
    const known = this.#groups.get(group)
    if (known !== undefined) return known
    const violations =
      group === DEFAULT_GROUP ? this.#violations : this.#violations.of(groupName(group))
    const consensus = new ConsensusInvariants(this.#size, violations)
    const promises = new PromiseInvariants(violations, (host) => consensus.durableIndex(host))
    const judged = { consensus, promises }
    this.#groups.set(group, judged)
    return judged
  }

  /** Terms that had a leader, of all groups for data. */
  get elections(): number {
    return this.#sum(({ elections }) => elections)
  }

  get committedIndex(): number {
    return this.#sum(({ committedIndex }) => committedIndex)
  }

  /** Of some group for data. */
  isLeader(host: number): boolean {
    return this.#data().some((consensus) => consensus.isLeader(host))
  }

  /** What a host has committed as a leader; zero when it leads nothing. */
  ledCommitIndex(host: number): number {
    return this.#sum((consensus) => consensus.ledCommitIndex(host))
  }

  onExit(host: number): void {
    for (const { consensus } of this.#groups.values()) consensus.onExit(host)
  }

  #sum(of: (consensus: ConsensusInvariants) => number): number {
    return this.#data().reduce((sum, consensus) => sum + of(consensus), 0)
  }

  #data(): readonly ConsensusInvariants[] {
    return [...this.#groups].flatMap(([group, { consensus }]) =>
      group === CONTROL_GROUP ? [] : [consensus]
    )
  }
}
