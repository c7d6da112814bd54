/**
 * Distributed transactions, by what each replica writes of them with its data: a transaction ends
 * alike in every group that it ends in; a commit is decided when every group has prepared its
 * branch, never before, and a branch is committed after that. Nobody decides by hand here.
 */
import { type GroupId, groupName, type SystemWrite } from '../core/index.js'
import {
  branchRecord,
  decisionRecord,
  type End,
  endRecord,
  transactionKeyPrefix
} from '../failover/index.js'
import { Invariants, type Violations } from './violations.js'

interface Ended {
  readonly group: GroupId
  readonly outcome: End['outcome']
}

export class TransactionInvariants {
  readonly #violations: Violations
  readonly #ends = new Map<string, Ended>()
  /** Groups in which a transaction was prepared. */
  readonly #prepared = new Map<string, Set<GroupId>>()
  /** Transactions whose commit is in the log of their coordinating group. */
  readonly #decided = new Set<string>()

  constructor(violations: Violations) {
    this.#violations = violations
  }

  /** Transactions that were committed somewhere. */
  get committed(): number {
    return [...this.#ends.values()].filter(({ outcome }) => outcome === 'committed').length
  }

  /** Some replica of the group has applied this. */
  onWrites(group: GroupId, writes: readonly SystemWrite[]): void {
    for (const write of writes) {
      if (write.value === null || !write.key.startsWith(transactionKeyPrefix)) continue
      const branch = branchRecord.read(write)
      if (branch !== null) this.#preparedIn(branch.transaction).add(group)
      const end = endRecord.read(write)
      if (end !== null) this.#judgeEnd(group, end)
      const decision = decisionRecord.read(write)
      if (decision === null) continue
      const { transaction, pending } = decision
      this.#decided.add(transaction)
      for (const other of pending) this.#judgeDecision(transaction, group, other)
    }
  }

  #judgeEnd(group: GroupId, end: End): void {
    const { transaction, outcome, heuristic } = end
    this.#judgeTold(group, end)
    const known = this.#ends.get(transaction)
    if (known === undefined) this.#ends.set(transaction, { group, outcome })
    else if (known.outcome !== outcome) {
      const here = `${outcome} in group ${groupName(group)}`
      const detail = `${transaction}: ${here}, ${known.outcome} in group ${groupName(known.group)}`
      this.#violations.report(Invariants.AtomicCommitment, detail)
    }
    if (heuristic === 'none') return
    const detail = `${transaction} is ${heuristic} in group ${groupName(group)}`
    this.#violations.report(Invariants.AtomicCommitment, detail)
  }

  /** Whoever commits a branch was told by somebody who had seen the decision applied. */
  #judgeTold(group: GroupId, { transaction, outcome, coordinator }: End): void {
    if (outcome !== 'committed' || coordinator === group) return
    if (this.#decided.has(transaction)) return
    const detail = `${transaction}: committed in group ${groupName(group)}, and nothing is decided`
    this.#violations.report(Invariants.AtomicCommitment, detail)
  }

  #judgeDecision(transaction: string, group: GroupId, other: GroupId): void {
    if (this.#preparedIn(transaction).has(other)) return
    const decided = `${transaction}: committed by group ${groupName(group)}`
    const detail = `${decided}, not prepared in group ${groupName(other)}`
    this.#violations.report(Invariants.AtomicCommitment, detail)
  }

  #preparedIn(transaction: string): Set<GroupId> {
    const known = this.#prepared.get(transaction)
    if (known !== undefined) return known
    const groups = new Set<GroupId>()
    this.#prepared.set(transaction, groups)
    return groups
  }
}
