/**
 * The control group as other rooms see it: `ControlDriver` implements it, tests may stand in for
 * it.
 */
import type { MonotonicMs, NodeId, Term } from '../core/ids.js'
import type { AppliedAt, ControlSection } from './section.js'

export interface ChangeOptions {
  readonly deadline: MonotonicMs
  /**
   * 1…48 printable characters. Changes with the same key are one change, executed once and answered
   * alike, whoever proposes them; remembered for `consensus.clientIdleTimeoutMs`.
   */
  readonly idempotencyKey?: string
}

export type AppliedHandler<State, Change, Answer> = (
  state: State,
  change: Change,
  answer: Answer,
  at: AppliedAt
) => void

export interface Control {
  /**
   * Proposes at the control group's leader, one hop if that is another node, and answers what
   * `apply` answered. Tried again until the deadline, never executed twice.
   *
   * @throws NotLeaderError, NoLeaderError, BackpressureError: nothing was proposed in time
   * @throws IndeterminateError the deadline passed, and whether it was executed is not known
   */
  change<State, Change, Answer>(
    section: ControlSection<State, Change, Answer>,
    change: Change,
    options: ChangeOptions
  ): Promise<Answer>

  /** As this node has applied it; null without a replica here. */
  local<State, Change, Answer>(section: ControlSection<State, Change, Answer>): State | null

  /**
   * Linearizable: every change that was answered before is in it. Asks a voter where no replica is
   * here.
   * @throws NoLeaderError, RequestTimeoutError
   */
  read<State, Change, Answer>(
    section: ControlSection<State, Change, Answer>,
    deadline: MonotonicMs
  ): Promise<State>

  /**
   * Told of every change that the replica of this node applies, refused ones too, in order; after a
   * restart those behind the last durable state once more.
   */
  onApplied<State, Change, Answer>(
    section: ControlSection<State, Change, Answer>,
    handler: AppliedHandler<State, Change, Answer>
  ): void

  readonly isLeader: boolean
  leader(): NodeId | null
  /** Told when this node begins or ceases to lead the control group. */
  onLeadership(handler: (leads: boolean, term: Term) => void): void
}
