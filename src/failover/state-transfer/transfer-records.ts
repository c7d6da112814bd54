/** The transfers of a node that are under way, and the latest that ended. */
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import { type TransferState, TransferStates, type TransferView } from '../../core/state-sync.js'

/** A view that is still written to. */
export interface TransferRecord {
  readonly id: string
  readonly direction: 'in' | 'out'
  readonly peer: NodeId
  readonly file: string
  readonly startedAt: MonotonicMs
  state: TransferState
  sizeBytes: number | null
  doneBytes: number
  resumedBytes: number
  chunksDamaged: number
  endedAt: MonotonicMs | null
  failure: string | null
}

type Opening = Pick<TransferRecord, 'id' | 'direction' | 'peer' | 'file'>

export class TransferRecords {
  readonly #recordsMax: number
  /** In the order of their beginning. */
  readonly #records = new Map<string, TransferRecord>()

  /** @param recordsMax of those that ended */
  constructor(recordsMax: number) {
    this.#recordsMax = recordsMax
  }

  get active(): number {
    return [...this.#records.values()].filter(({ endedAt }) => endedAt === null).length
  }

  find(opening: Pick<Opening, 'id' | 'direction' | 'peer'>): TransferRecord | null {
    return this.#records.get(keyOf(opening)) ?? null
  }

  begin(opening: Opening, now: MonotonicMs): TransferRecord {
    const record: TransferRecord = {
      ...opening,
      state: TransferStates.Asking,
      sizeBytes: null,
      doneBytes: 0,
      resumedBytes: 0,
      chunksDamaged: 0,
      startedAt: now,
      endedAt: null,
      failure: null
    }
    this.#records.delete(keyOf(opening))
    this.#records.set(keyOf(opening), record)
    return record
  }

  end(
    record: TransferRecord,
    outcome: { readonly state: TransferState; readonly failure: string | null },
    now: MonotonicMs
  ): void {
    record.state = outcome.state
    record.failure = outcome.failure
    record.endedAt = now
    const ended = [...this.#records].filter(([, { endedAt }]) => endedAt !== null)
    for (const [key] of ended.slice(0, Math.max(0, ended.length - this.#recordsMax))) {
      this.#records.delete(key)
    }
  }

  /** What ended goes on: the receiver asks again. */
  revive(record: TransferRecord): void {
    record.endedAt = null
    record.failure = null
  }

  views(): TransferView[] {
    return [...this.#records.values()].map(viewOf)
  }
}

/** As it is now; later changes do not show in it. */
export const viewOf = (record: TransferRecord): TransferView => ({ ...record })

const keyOf = ({ direction, peer, id }: Pick<Opening, 'id' | 'direction' | 'peer'>): string =>
  `${direction}\n${peer}\n${id}`
