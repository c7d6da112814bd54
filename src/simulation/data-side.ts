/**
 * What programs do over several groups and in sessions, and what an operator does to nodes
 * meanwhile.
 */
import type { Random } from '../core/index.js'
import type { OutsideClient } from './outside-client.js'
import { PlannedOperator } from './planned-operator.js'
import { SessionWorkload } from './session-workload.js'
import type { SimulatedCluster } from './simulated-cluster.js'
import type { SwarmOptions } from './swarm-options.js'
import { type TransactionCounts, TransactionWorkload } from './transaction-workload.js'
import type { Violations } from './violations.js'
import type { VirtualTime } from './virtual-clock.js'

export interface DataSideComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly cluster: () => SimulatedCluster
  readonly outside: () => readonly OutsideClient[]
  readonly violations: Violations
  readonly log: (line: string) => void
}

export interface DataSideCounts {
  readonly sessions_used: number
  readonly session_requests_ok: number
  readonly drains_done: number
  readonly session_moves_asked: number
}

export class DataSide {
  readonly transactions: TransactionWorkload
  readonly planned: PlannedOperator
  readonly #sessions: SessionWorkload

  constructor(
    components: DataSideComponents,
    { transactions, sessions, planned, groups }: SwarmOptions
  ) {
    const { random } = components
    const of = (name: string) => ({ ...components, random: random.split(name) })
    this.transactions = new TransactionWorkload(
      { ...of('transactions'), groups: groups.count },
      transactions
    )
    this.#sessions = new SessionWorkload({ ...of('sessions'), groups: groups.count }, sessions)
    this.planned = new PlannedOperator(of('planned'), planned)
  }

  get transactionCounts(): TransactionCounts {
    return this.transactions.counts
  }

  get counts(): DataSideCounts {
    return { ...this.#sessions.counts, ...this.planned.counts }
  }

  /** What was begun and has no outcome yet. */
  get open(): number {
    return this.transactions.open + this.#sessions.open
  }

  start(): void {
    this.transactions.start()
    this.#sessions.start()
  }

  stop(): void {
    this.transactions.stop()
    this.#sessions.stop()
  }

  readAll(): void {
    this.transactions.readAll()
    this.#sessions.readAll()
  }

  describeOpen(): string {
    return `${this.transactions.open} transactions and ${this.#sessions.open} sessions`
  }
}
