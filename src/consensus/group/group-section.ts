/**
 * A part of a group's replicated state that is neither the engine's data nor consensus' own: it
 * keeps what it knows in the engine's system keys, and changes by entries of the group's log. So it
 * is in every snapshot, and survives a crash as the data does.
 *
 * Contract of a section:
 * 1. `apply` is a function of the entries alone, and synchronous: no clock, no configuration.
 * 2. Its keys begin with `keyPrefix`. `restore` of what it wrote gives a state that behaves the
 *    same for ever after; it replaces everything.
 * 3. What `apply` answers is committed with the index in one engine transaction. `handleApplied`
 *    comes after that, in the order of the entries; nobody outside is answered before.
 * 4. `handleLeadership` tells the term when this replica leads and has applied every entry of
 *    earlier terms, and null when it does not any more; never twice the same.
 */
import type { LogIndex, MonotonicMs, Term } from '../../core/ids.js'
import type { Command, PlanRequest, SystemWrite } from '../../core/ports/engine.js'
import type { PrepareOutcome, RowKeys } from '../../core/ports/engine-prepare.js'
import type { ClientTag } from '../../core/ports/replicated-group.js'
import type { TaggedAnswer } from '../client-table.js'

export interface SectionAt {
  readonly index: LogIndex
  readonly term: Term
  /** Log time of the group; never goes back. */
  readonly now: number
}

export interface SectionApplyAt extends SectionAt {
  /**
   * Whether the client is registered and its command was not executed before. In one entry that is
   * so once: whoever was told so executes it.
   */
  isNew(tag: ClientTag): boolean
}

export interface SectionEffects<Answer> {
  /** Changes of the engine's data, in order. */
  readonly commands: readonly Command[]
  readonly writes: readonly SystemWrite[]
  /** Clients' commands that are executed with it; each was new. */
  readonly answered: readonly TaggedAnswer[]
  /** For `handleApplied`. */
  readonly answer: Answer
}

export interface GroupSection<Answer = unknown> {
  /** In each of its entries, at most 32 characters. */
  readonly name: string
  readonly keyPrefix: string
  /** Null: no rows are held beyond an entry. */
  readonly rows: RowGuard | null
  restore(writes: readonly SystemWrite[]): void
  apply(bytes: Uint8Array, at: SectionApplyAt): SectionEffects<Answer>
  handleApplied(answer: Answer, at: SectionAt): void
  handleLeadership(term: Term | null): void
}

export interface Rows {
  readonly readKeys: RowKeys
  readonly writeKeys: RowKeys
}

/** Of a plain write among those who want rows. */
export interface RowPlace {
  /** It has come through, or given up. Twice is harmless. */
  leave(): void
}

/**
 * Rows that somebody holds for longer than one entry. More of them come to be held for writes only
 * while a section's `make` is called, or by whoever waited for others that were held before.
 */
export interface RowGuard {
  /** Somebody holds rows that a plain write may meet; at the leader. */
  readonly isHeld: boolean
  blocksWrite(rows: Rows): boolean
  /**
   * For a plain write that is blocked: whoever comes to hold rows later gives way to it. With the
   * place that it has had, for other rows perhaps. Null: there are as many as may be.
   */
  keepPlace(rows: Rows, before: RowPlace | null): RowPlace | null
  /** Somebody may yet commit changes of rows, as far as is applied here. */
  readonly isPrepared: boolean
  /** So it was by an entry at or below the index. */
  isPreparedUpTo(index: LogIndex): boolean
  /** `upTo`: by such entries alone. */
  blocksRead(rows: Rows, upTo?: LogIndex): boolean
  /** Rises whenever more rows come to be in the way of reads. */
  readonly preparedCount: number
  /** Rows are free: who met them looks again. */
  onReleased(handler: () => void): void
}

/** What an entry is made with: of the group nothing that changes data or sections is on its way. */
export interface SectionTurn {
  /** Of the entry. */
  readonly logTime: number
  /** As the engine's `prepare`, against exactly what is applied. Null: the engine has none. */
  prepare(request: PlanRequest, deadline: MonotonicMs): Promise<PrepareOutcome> | null
}

/** The entry, or null: there is nothing to propose after all. */
export type MakeEntry = (turn: SectionTurn) => Promise<Uint8Array | null> | Uint8Array | null
