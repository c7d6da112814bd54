/**
 * What a group knows of a recovery after its majority was lost: it goes on from the log of one
 * replica, and what only lost replicas held is gone, decisions perhaps among it. Replicated state.
 *
 * 1. Of an epoch at or below the mark an abort is not presumed: a decision to commit may have been
 * made, told, and lost. Branches of such an epoch wait for an operator.
 * 2. A commit of a branch that is not known here and began before the recovery was prepared by what
 * is lost: it ends as aborted here and is told as mixed.
 */
import type { Term, TransactionId } from '../../core/ids.js'
import type { SystemWrite } from '../../core/ports/engine.js'
import { stampOf } from '../../core/transaction-id.js'
import { ByteReader } from '../../wire/byte-reader.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import { struct, term, u64 } from '../../wire/index.js'
import { transactionKeyPrefix } from './transaction-records.js'

const key = `${transactionKeyPrefix}lost`
const record = struct({ epoch: term, at: u64 })

export class LossMark {
  #epoch = 0 as Term
  /** Log time. */
  #at = 0

  /** Whoever finds no decision of this epoch may say that none was made. */
  mayPresumeAbort(epoch: Term): boolean {
    return epoch > this.#epoch
  }

  mayBeLost(transaction: TransactionId): boolean {
    return this.#epoch > 0 && stampOf(transaction) <= this.#at
  }

  set(epoch: Term, at: number): SystemWrite {
    if (epoch > this.#epoch) this.#epoch = epoch
    this.#at = at
    const writer = new ByteWriter(16)
    record.write(writer, { epoch: this.#epoch, at })
    return { key, value: writer.take() }
  }

  load(write: SystemWrite): void {
    if (write.key !== key || write.value === null) return
    const { epoch, at } = record.read(new ByteReader(write.value))
    this.#epoch = epoch
    this.#at = at
  }
}
