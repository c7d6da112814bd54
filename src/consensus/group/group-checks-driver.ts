/**
 * Whether the replicas of a group hold the same: the leader has a check logged from time to time,
 * every replica hashes its content there and tells the leader, which tells everybody its verdict.
 */
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import type { ConsensusEvent } from '../../core/events.js'
import { type GroupId, type LogIndex, type NodeId, nodeOf, type ReplicaId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Engine } from '../../core/ports/engine.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { ConsensusCounters } from '../counters.js'
import { type CheckVerdict, DivergenceCheck } from './divergence-check.js'
import { checkReport, checkVerdict } from './group-messages.js'
import type { RaftDriver } from './raft-driver.js'

export interface GroupChecksComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly engine: Engine
  readonly logger: Logger
  readonly counters: ConsensusCounters
  readonly raft: RaftDriver
  emit(event: ConsensusEvent): void
  isLeader(): boolean
  /** It is time for a check to be logged. */
  onDue(): void
  /** A verdict holds for this replica. */
  onVerdict(verdict: CheckVerdict): void
}

export interface GroupChecksOptions {
  readonly group: GroupId
  readonly self: ReplicaId
  /** Zero: never by itself. */
  readonly intervalMs: number
}

export class GroupChecks {
  readonly #components: GroupChecksComponents
  readonly #options: GroupChecksOptions
  readonly #divergence = new DivergenceCheck()
  readonly #timer: DeadlineTimer

  constructor(components: GroupChecksComponents, options: GroupChecksOptions) {
    this.#components = components
    this.#options = options
    this.#timer = new DeadlineTimer(components.clock, () => {
      if (!components.isLeader()) return
      components.onDue()
      this.#arm()
    })
  }

  lead(): void {
    this.#arm()
  }

  /** Another leader judges. */
  resign(): void {
    this.#timer.arm(NEVER)
    this.#divergence.clear()
  }

  stop(): void {
    this.#timer.stop()
  }

  /** Everything before the check at `index` is applied, and nothing after it. */
  async hash(index: LogIndex): Promise<void> {
    const { counters, engine, messenger, raft } = this.#components
    counters.add('checks')
    const { hash } = await engine.checksum()
    const { group, self } = this.#options
    if (this.#components.isLeader()) this.handleReport(self, index, hash)
    const leader = raft.status().leader
    if (leader === null || leader === self) return
    messenger.send(nodeOf(leader), checkReport, { group, replica: self, index, hash })
  }

  handleReport(replica: ReplicaId, index: LogIndex, hash: string): void {
    if (!this.#components.isLeader()) return
    const { emit, logger, messenger, onVerdict, raft } = this.#components
    const { group, self } = this.#options
    const { term, configuration } = raft.status()
    const verdict = this.#divergence.report(index, replica, hash, configuration.voters)
    if (verdict === null) return
    const nodes = verdict.diverged.map(nodeOf)
    logger.error({ group, index, nodes, halted: verdict.halted }, 'replicas differ')
    emit({ type: 'ReplicaDiverged', group, index, nodes })
    for (const voter of configuration.voters) {
      if (voter !== self) messenger.send(nodeOf(voter), checkVerdict, { group, term, ...verdict })
    }
    onVerdict(verdict)
  }

  handleVerdict(from: NodeId, verdict: CheckVerdict & { readonly term: number }): void {
    const { term, leader } = this.#components.raft.status()
    if (verdict.term !== term || leader === null || nodeOf(leader) !== from) return
    this.#components.onVerdict(verdict)
  }

  #arm(): void {
    const { intervalMs } = this.#options
    if (intervalMs > 0) this.#timer.arm(after(this.#components.clock.now(), intervalMs))
  }
}
