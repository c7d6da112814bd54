/**
 * Branches that fail by what they met, while others are prepared: one that was prepared before may
 * be committed elsewhere already, and told, though its changes are not here yet.
 *
 * 1. A fault stands when every branch has ended that was prepared when the fault was first met, and
 *    the branch was planned once more since. Later ones are not waited for.
 * 2. It waits for younger branches alone, as for rows: so no circle of waiting can close.
 *
 * Owner's duty: `forget` with each vote; so there are never more than branches being prepared.
 */
import type { TransactionId } from '../../core/ids.js'
import { compareAge } from '../../core/transaction-id.js'
import type { PrepareRequest } from './participant.js'

export type FaultVerdict =
  | { readonly kind: 'stands' }
  | { readonly kind: 'waits' }
  /** For an older one, which it may not wait for. */
  | { readonly kind: 'dies'; readonly by: TransactionId }

interface Fault {
  readonly request: PrepareRequest
  /** Prepared when it was first met. */
  readonly others: readonly TransactionId[]
  isWaiting: boolean
}

export class BranchFaults {
  readonly #prepared: () => readonly TransactionId[]
  readonly #faults = new Map<TransactionId, Fault>()

  /** @param prepared all that are prepared now */
  constructor(prepared: () => readonly TransactionId[]) {
    this.#prepared = prepared
  }

  judge(request: PrepareRequest): FaultVerdict {
    const { transaction } = request
    const known = this.#faults.get(transaction)
    const others = this.#leftOf(known?.others ?? this.#prepared())
    const older = others.find((other) => compareAge(other, transaction) < 0)
    if (others.length === 0 || older !== undefined) this.#faults.delete(transaction)
    else this.#faults.set(transaction, { request, others, isWaiting: true })
    if (others.length === 0) return { kind: 'stands' }
    return older === undefined ? { kind: 'waits' } : { kind: 'dies', by: older }
  }

  /** To be planned once more. */
  takeReady(): PrepareRequest[] {
    const ready: PrepareRequest[] = []
    for (const fault of this.#faults.values()) {
      if (!fault.isWaiting || this.#leftOf(fault.others).length > 0) continue
      fault.isWaiting = false
      ready.push(fault.request)
    }
    return ready
  }

  /** It has voted, as every branch does that fails no more or is given up. */
  forget(transaction: TransactionId): void {
    this.#faults.delete(transaction)
  }

  #leftOf(others: readonly TransactionId[]): readonly TransactionId[] {
    const prepared = this.#prepared()
    return others.filter((other) => prepared.includes(other))
  }
}
