import type { LogIndex, MonotonicMs } from '../ids.js'
import type { Statement, StatementResult } from '../sql.js'
import type { Command, StatementFailure } from './command.js'
import type { PrepareOutcome } from './engine-prepare.js'

export type { Command, StatementFailure } from './command.js'

/** A key and value owned by Skein, committed in the same transaction as the data. Null removes. */
export interface SystemWrite {
  readonly key: string
  readonly value: Uint8Array | null
}

export interface PlanRequest {
  readonly statements: readonly Statement[]
}

export interface PlanContext {
  /** Where the command will stand in the log, if it is ever proposed. */
  readonly index?: LogIndex
  /** Statements that run longer are interrupted and fail with ERR_SKEIN_STATEMENT_TIMEOUT. */
  readonly deadline: MonotonicMs
}

export type PlanOutcome =
  | {
      readonly kind: 'planned'
      readonly command: Command
      readonly results: readonly StatementResult[]
    }
  | { readonly kind: 'failed'; readonly failure: StatementFailure }

export type ReadOutcome =
  | {
      readonly kind: 'rows'
      readonly results: readonly StatementResult[]
      readonly index: LogIndex
    }
  | { readonly kind: 'failed'; readonly failure: StatementFailure }

export interface EngineState {
  readonly appliedIndex: LogIndex
  /** At or below `appliedIndex`; survives a power failure. */
  readonly durableIndex: LogIndex
}

export interface EngineCapabilities {
  readonly name: string
  readonly interactiveTransactions: boolean
  readonly snapshots: boolean
  /** Statements it takes: SQL, or an own language with a classifier of the embedder's. */
  readonly language: string
}

export interface ReadOptions {
  /** Waits until this index is applied. */
  readonly atLeastIndex: LogIndex
  readonly deadline: MonotonicMs
  readonly signal?: AbortSignal
}

/** What a snapshot is, for whoever takes it in. */
export interface SnapshotDescription {
  /** Everything up to here is in it, nothing behind. */
  readonly index: LogIndex
  /** Of the engine that took it; one that reads another refuses it. */
  readonly format: number
  readonly sizeBytes: number
  /** Of all its bytes. */
  readonly sha256: Uint8Array
}

/** A consistent copy of all that an engine holds, system keys included. */
export interface EngineSnapshot {
  readonly description: SnapshotDescription
  /** Within the size; exactly so many bytes. */
  read(offset: number, lengthBytes: number): Promise<Uint8Array>
  /** Its space is free again; nothing is read any more. */
  close(): Promise<void>
}

/** A snapshot for which everything is at hand but its moment. */
export interface SnapshotStart {
  /** What is applied now is what is copied, however long that takes. Short. */
  pin(): Promise<void>
  /** After `pin`. @throws SnapshotRefusedError there is no room for it */
  copy(): Promise<EngineSnapshot>
  /** Gives it up; harmless when it has ended, or is copied. */
  abandon(): Promise<void>
}

/** A snapshot on its way into an engine, which goes on as it was until `finish`. */
export interface EngineRestore {
  /** Each byte is written at least once, in any order. */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /**
   * Checks all of it, then replaces the engine's content by it and by `systemWrites`, durably and
   * in one step: a crash leaves the one or the other. Nothing else is called meanwhile but `read`,
   * which waits.
   * @throws SnapshotRefusedError damaged, or of another format: the content is what it was; any
   * other error is fail-stop for this replica
   */
  finish(systemWrites: readonly SystemWrite[]): Promise<EngineState>
  /** Gives it up; harmless when it has ended. */
  abandon(): Promise<void>
  /** Absent: what is written lives no longer than the process. */
  readonly lasting?: LastingRestore
}

/** Of a restore whose bytes stay when the process ends. */
export interface LastingRestore {
  /** Of what was written, also before a crash, and is to be checked then; shorter where it ends. */
  read(offset: number, lengthMax: number): Promise<Uint8Array>
  /** Everything that was written until now outlives a power failure. */
  sync(): Promise<void>
  /** Ends the restore as `abandon` does, and leaves its bytes for one that resumes. */
  suspend(): Promise<void>
}

export interface EngineOpenOptions {
  /** What was written of a restore is left for one that resumes. */
  readonly keepsRestore: boolean
}

export interface RestoreOptions {
  /** What is left of one that was broken off is written already. */
  readonly resumes: boolean
}

/**
 * The embedder's database, one per data group and node. Every method takes and gives cloneable
 * values, so an engine may live in its own threads.
 *
 * Contract:
 * 1. `apply` is atomic with its index: after a crash both are there or neither.
 * 2. `appliedIndex` rises by the calls of `apply` alone, in index order, without gaps of commands.
 * 3. Two engines that applied the same commands up to an index have the same `checksum` at it.
 * 4. `plan` changes nothing that a reader, another plan's caller or a restart could see; the
 *    planned commands of one batch see one another in order. `apply` of exactly the planned
 *    commands, in order, keeps the batch; `discard` or `apply` of anything else rolls it
 *    back first.
 * 5. A plan that fails leaves the batch as it was before it.
 * 6. An error thrown by `apply`, `flush` or `open` is fail-stop for this replica.
 * 7. An engine that says so in its capabilities has `snapshot` and `restore`. `open` removes what
 *    unfinished ones left behind, but for a restore that it is told to keep and that is `lasting`.
 *    Of a group whose engine has neither the log is kept whole.
 * 8. Calls of `plan` and `prepare` come without waiting for the ones before, and are carried out
 *    in the order in which they came.
 */
export interface Engine {
  open(options?: EngineOpenOptions): Promise<EngineState>
  capabilities(): EngineCapabilities
  /** Of the command format; a replica never applies a format above its own. */
  version(): number
  plan(request: PlanRequest, context: PlanContext): Promise<PlanOutcome>
  /**
   * What `plan` would do, and which rows that rests on; rolled back at once, so that the batch
   * is as it was. Without it a group takes no part in transactions over several groups.
   */
  prepare?(request: PlanRequest, context: PlanContext): Promise<PrepareOutcome>
  apply(
    commands: readonly Command[],
    systemWrites: readonly SystemWrite[],
    index: LogIndex
  ): Promise<void>
  /**
   * Plans may follow soon, for this replica campaigns: what the first of them takes is made ready
   * meanwhile. Changes nothing. Absent: there is nothing to make ready.
   */
  rehearse?(): Promise<void>
  /** Leadership was lost before commit: drop every planned and unapplied command. */
  discard(): Promise<void>
  read(statements: readonly Statement[], options: ReadOptions): Promise<ReadOutcome>
  /** Every system key with this prefix, in key order, as of the last `apply`. */
  readSystem(prefix: string): Promise<readonly SystemWrite[]>
  flush(): Promise<LogIndex>
  /** Content hash of all user data at the applied index, lower-case hex. */
  checksum(): Promise<{ readonly index: LogIndex; readonly hash: string }>
  /**
   * Of what is applied at one moment between call and answer; applies go on meanwhile. At most two
   * are open at a time, one for followers and one for a backup.
   * @throws SnapshotRefusedError there is no room for it; the engine goes on
   */
  snapshot?(): Promise<EngineSnapshot>
  /**
   * The same in steps, so that its moment can be chosen. Absent: the moment is `snapshot`'s own.
   * @throws SnapshotRefusedError
   */
  beginSnapshot?(): Promise<SnapshotStart>
  /**
   * At most one is under way.
   * @throws SnapshotRefusedError of another format, or there is no room for it
   */
  restore?(description: SnapshotDescription, options?: RestoreOptions): Promise<EngineRestore>
  close(): Promise<void>
}
