/**
 * Places of plain writes among the transactions that want rows of a group, while this replica leads
 * it. A plain write is as old as its first wait, and keeps that age as often as it looks again.
 */
import type { RowPlace, Rows } from '../../consensus/index.js'
import type { TransactionId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Random } from '../../core/ports/random.js'
import { transactionIdOf } from '../../core/transaction-id.js'
import type { PlaceKeeper } from './branch-rows.js'
import type { LockTable } from './lock-table.js'

export interface PlainPlacesComponents {
  readonly clock: Clock
  readonly random: Random
  readonly locks: LockTable
  /** Others may go on, or look again. */
  onLeft(place: TransactionId): void
}

class Place implements RowPlace {
  readonly id: TransactionId
  readonly leave: () => void

  constructor(id: TransactionId, onLeft: (id: TransactionId) => void) {
    this.id = id
    let hasLeft = false
    this.leave = () => {
      if (hasLeft) return
      hasLeft = true
      onLeft(id)
    }
  }
}

export class PlainPlaces implements PlaceKeeper {
  readonly #components: PlainPlacesComponents

  constructor(components: PlainPlacesComponents) {
    this.#components = components
  }

  keep(rows: Rows, before: RowPlace | null): RowPlace | null {
    const { locks, onLeft } = this.#components
    const place = before instanceof Place ? before : new Place(this.#newId(), onLeft)
    return locks.keepPlace(place.id, rows) ? place : null
  }

  #newId(): TransactionId {
    const { clock, random } = this.#components
    return transactionIdOf(Math.floor(clock.wallNow()), [random.nextUint32(), random.nextUint32()])
  }
}
