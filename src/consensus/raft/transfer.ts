/**
 * A leadership transfer: proposals wait while the target catches up; then it is told to campaign.
 * Source: Raft dissertation 3.10. Replicas that were told may take the lead from a healthy leader
 * for the rest of the term, nobody else may (R-T07).
 */
import { NEVER } from '../../core/deadlines.js'
import type { MonotonicMs, ReplicaId } from '../../core/ids.js'

export class Transfer {
  #target: ReplicaId | null = null
  #endsAt: MonotonicMs = NEVER
  readonly #told = new Set<ReplicaId>()

  get target(): ReplicaId | null {
    return this.#target
  }

  get endsAt(): MonotonicMs {
    return this.#endsAt
  }

  /** Somebody may win votes for this leader's place as long as the term lasts. */
  get hasTold(): boolean {
    return this.#told.size > 0
  }

  begin(target: ReplicaId, endsAt: MonotonicMs): void {
    this.#target = target
    this.#endsAt = endsAt
  }

  noteTold(target: ReplicaId): void {
    this.#told.add(target)
  }

  mayTakeOver(candidate: ReplicaId): boolean {
    return this.#told.has(candidate)
  }

  end(): void {
    this.#target = null
    this.#endsAt = NEVER
  }
}
