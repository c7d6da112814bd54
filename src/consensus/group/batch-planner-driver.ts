/**
 * Turns waiting writes into one batch of planned commands. A write leaves here in one of three
 * ways: answered (it was executed before, or is not to be), planned, or at fault: what it met is
 * told by the owner when that is known to be so, for it may rest on writes of the same batch, or on
 * the state of a leader that leads no more.
 *
 * Planned commands see one another in order. Plans of a window are handed to the engine together,
 * which spares an engine in its own thread most of the round trips; should a window outgrow an
 * entry, the batch is discarded and planned again one by one.
 *
 * While somebody holds rows, each write is prepared first: one that meets such a row is set aside.
 * That, too, is asked for a window at once, as if none met one; when one does, the batch is
 * discarded and planned again one by one.
 */
import { must } from '../../core/assert.js'
import type { Config } from '../../core/config/schema.js'
import {
  BackpressureError,
  CommandTooLargeError,
  EngineFailedError,
  RequestTimeoutError,
  SkeinError
} from '../../core/errors.js'
import type { ClientId, LogIndex, Serial } from '../../core/ids.js'
import { commandSizeBytesMax } from '../../core/limits.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Command, Engine, PlanOutcome } from '../../core/ports/engine.js'
import type { PrepareOutcome } from '../../core/ports/engine-prepare.js'
import type { ClientTag } from '../../core/ports/replicated-group.js'
import type { StatementResult } from '../../core/sql.js'
import type { ClientLimits, ClientTable } from '../client-table.js'
import type { ConsensusCounters } from '../counters.js'
import { forgotten, standingOf } from './client-standing.js'
import {
  type BatchCommand,
  batchTargetBytes,
  encodeKeptResult,
  entrySizeOf
} from './group-payload.js'
import type { RowGuard, Rows } from './group-section.js'
import type { PendingWrite } from './pending-write.js'
import { statementError } from './statement-error.js'

/** Plans handed to the engine together. */
export const planWindowMax = 64
/** Commands of one entry, with room for what surrounds them in a message. */
export const entrySizeBytesMax = 960 * 1024

/** One command and everybody who waits for it: a retry may meet its original in the same batch. */
export interface PlannedWrite {
  readonly callers: readonly PendingWrite[]
  readonly command: Command
  readonly results: readonly StatementResult[]
  readonly entry: BatchCommand
}

/** Writes that fail by themselves, as far as the planned ones before them are committed. */
export interface FaultyWrite {
  readonly callers: readonly PendingWrite[]
  readonly error: SkeinError
}

export interface PlannedBatch {
  readonly planned: readonly PlannedWrite[]
  readonly faulty: readonly FaultyWrite[]
}

/** Where writes come from; what is put back comes first again. */
export interface WriteSource {
  next(): PendingWrite | undefined
  putBack(writes: readonly PendingWrite[]): void
  /**
   * They meet rows that somebody holds: they come again when rows are free. Null: which rows is not
   * known.
   */
  setAside(writes: readonly PendingWrite[], rows: Rows | null): void
}

interface Candidate {
  readonly callers: readonly PendingWrite[]
}

interface OpenCandidate extends Candidate {
  readonly callers: PendingWrite[]
}

/** What the entry of a batch will be like. */
export interface Admission {
  /** Has applied every entry before the batch. */
  readonly table: ClientTable
  readonly index: LogIndex
  readonly logTime: number
  readonly limits: ClientLimits
  /** No more in this batch; at most `batchCommandsMax`. */
  readonly commandsMax: number
}

/** What of one batch is admitted already. */
interface Admitted {
  readonly byTag: Map<string, OpenCandidate>
  readonly serials: Map<ClientId, Serial[]>
  /** What their clients wait for no answer to, as their commands say. */
  readonly answeredBelow: Map<ClientId, Serial>
}

interface Gathered {
  readonly planned: PlannedWrite[]
  readonly faulty: FaultyWrite[]
  sizeBytes: number
  /** Something planned cannot stay: the engine must discard and plan again. */
  isSpoiled: boolean
}

/** One of a window, by its place, and the rows that it waits for. */
interface Blocked {
  readonly at: number
  readonly rows: Rows
}

export class BatchPlanner {
  readonly #clock: Clock
  readonly #engine: Engine
  readonly #counters: ConsensusCounters
  readonly #rows: RowGuard | null
  readonly #config: Pick<Config['consensus'], 'clientAnswersMax'>
  /** Up to where the log was applied when a write was first at fault. */
  readonly #metAt = new WeakMap<PendingWrite, LogIndex>()

  constructor(
    components: {
      readonly clock: Clock
      readonly engine: Engine
      readonly counters: ConsensusCounters
      readonly rows: RowGuard | null
    },
    config: Pick<Config['consensus'], 'clientAnswersMax'>
  ) {
    this.#clock = components.clock
    this.#engine = components.engine
    this.#counters = components.counters
    this.#rows = components.rows
    this.#config = config
  }

  /** @throws EngineFailedError the engine broke its contract; nothing of it may be proposed */
  async plan(source: WriteSource, admission: Admission): Promise<PlannedBatch> {
    for (let windowMax = planWindowMax; ; windowMax = 1) {
      const gathered: Gathered = { planned: [], faulty: [], sizeBytes: 0, isSpoiled: false }
      try {
        await this.#gather(source, admission, windowMax, gathered)
      } catch (error) {
        rejectAll(writesOf(gathered), error as Error)
        throw error
      }
      if (!gathered.isSpoiled) return gathered
      await this.#engine.discard()
      source.putBack(writesOf(gathered).flatMap(({ callers }) => callers))
    }
  }

  async #gather(
    source: WriteSource,
    admission: Admission,
    windowMax: number,
    gathered: Gathered
  ): Promise<void> {
    const admitted: Admitted = { byTag: new Map(), serials: new Map(), answeredBelow: new Map() }
    const { commandsMax } = admission
    while (gathered.planned.length < commandsMax && gathered.sizeBytes < batchTargetBytes) {
      const window: Candidate[] = []
      const isGuarded = this.#rows?.isHeld === true && this.#engine.prepare !== undefined
      const room = Math.min(windowMax, commandsMax - gathered.planned.length)
      while (window.length < room) {
        const write = source.next()
        if (write === undefined) break
        const candidate = this.#admit(write, admitted, admission)
        if (candidate !== null) window.push(candidate)
      }
      const [first, second] = window
      if (first === undefined) break
      if (isGuarded && second === undefined) {
        const rows = await this.#blockedRows(first, admission.index)
        if (rows !== null) {
          setAside(first, rows, source, admitted)
          continue
        }
      }
      const isGuess = isGuarded && second !== undefined
      const { outcomes, blocked } = await this.#planAll(window, admission.index, isGuess)
      if (blocked !== null) {
        // It was planned all the same, and what comes after it has seen it.
        setAside(must(window[blocked.at], 'candidate'), blocked.rows, source, admitted)
        source.putBack(window.flatMap((one, i) => (i === blocked.at ? [] : one.callers)))
        gathered.isSpoiled = true
        break
      }
      for (const [i, outcome] of outcomes.entries()) {
        const candidate = window[i] as Candidate
        if (this.#isOpen(candidate, outcome, admission)) {
          setAside(candidate, null, source, admitted)
        } else this.#take(candidate, outcome, gathered)
      }
      if (gathered.sizeBytes > entrySizeBytesMax) gathered.isSpoiled = true
      if (gathered.isSpoiled) break
    }
  }

  /** Null: answered, refused, or joined to a candidate that is there already. */
  #admit(write: PendingWrite, admitted: Admitted, admission: Admission): Candidate | null {
    const { caller, request } = write
    if (caller.isSettled) return null
    if (request.deadline <= this.#clock.now()) {
      caller.reject(new RequestTimeoutError('the deadline passed before the write was planned'))
      return null
    }
    if (request.client === null) return { callers: [write] }
    const key = keyOf(request.client)
    const twin = admitted.byTag.get(key)
    if (twin !== undefined) {
      twin.callers.push(write)
      return null
    }
    if (!this.#isNew(write, request.client, admission)) return null
    if (!isAwaited(request.client, admitted)) {
      caller.reject(forgotten(request.client))
      return null
    }
    if (!this.#makeRoom(request.client, admitted, admission.table)) {
      const { clientId } = request.client
      this.#counters.add('answers_refused')
      caller.reject(new BackpressureError(`client ${clientId} leaves too many answers`))
      return null
    }
    const candidate = { callers: [write] }
    admitted.byTag.set(key, candidate)
    return candidate
  }

  /** False: with the rest of the batch the client would have more kept answers than it may. */
  #makeRoom(tag: ClientTag, admitted: Admitted, table: ClientTable): boolean {
    const serials = admitted.serials.get(tag.clientId) ?? []
    const room = this.#config.clientAnswersMax - table.unansweredCount(tag)
    const isOpen = (serial: Serial) => serial >= tag.answeredBelow
    if (serials.length >= room && serials.filter(isOpen).length >= room) return false
    if (serials.length === 0) admitted.serials.set(tag.clientId, serials)
    serials.push(tag.serial)
    return true
  }

  #isNew({ caller }: PendingWrite, tag: ClientTag, admission: Admission): boolean {
    const standing = standingOf(tag, admission)
    if (standing.kind === 'new') return true
    if (standing.kind === 'answered' || standing.isExecuted) this.#counters.add('repeated_answers')
    if (standing.kind === 'answered') caller.resolve(standing.answer)
    else caller.reject(standing.error)
    return false
  }

  /** Null: it is not. What fails to be prepared is planned, and told why it fails. */
  async #blockedRows({ callers }: Candidate, index: LogIndex): Promise<Rows | null> {
    const { statements, deadline } = (callers[0] as PendingWrite).request
    const outcome = await this.#engine.prepare?.({ statements }, { index, deadline })
    return this.#rowsInTheWay(outcome)
  }

  #rowsInTheWay(outcome: PrepareOutcome | undefined): Rows | null {
    if (outcome === undefined || outcome.kind === 'failed') return null
    if (this.#rows?.blocksWrite(outcome) !== true) return null
    this.#counters.add('writes_set_aside')
    return outcome
  }

  /** In order; `isGuess`: each is prepared before it is planned, and the first blocked one told. */
  async #planAll(
    window: readonly Candidate[],
    index: LogIndex,
    isGuess: boolean
  ): Promise<{ readonly outcomes: PlanOutcome[]; readonly blocked: Blocked | null }> {
    const prepared: (Promise<PrepareOutcome> | undefined)[] = []
    const plans = window.map(({ callers }) => {
      const { statements, deadline } = (callers[0] as PendingWrite).request
      if (isGuess) prepared.push(this.#engine.prepare?.({ statements }, { index, deadline }))
      return this.#engine.plan({ statements }, { index, deadline })
    })
    try {
      const [outcomes, rows] = await Promise.all([Promise.all(plans), Promise.all(prepared)])
      return { outcomes, blocked: this.#firstBlocked(rows) }
    } catch (cause) {
      const error =
        cause instanceof SkeinError
          ? cause
          : new EngineFailedError('the engine failed while planning', { cause })
      rejectAll(window, error)
      throw error
    }
  }

  #firstBlocked(prepared: readonly (PrepareOutcome | undefined)[]): Blocked | null {
    for (const [at, outcome] of prepared.entries()) {
      const rows = this.#rowsInTheWay(outcome)
      if (rows !== null) return { at, rows }
    }
    return null
  }

  /**
   * A branch that was prepared when the fault was first met may be committed elsewhere already: it
   * comes to its end before the fault is told.
   */
  #isOpen({ callers }: Candidate, outcome: PlanOutcome, { index }: Admission): boolean {
    if (this.#rows?.isPrepared !== true) return false
    if (outcome.kind !== 'failed' || !isOfTheState(outcome)) return false
    const write = must(callers[0], 'caller')
    const metAt = this.#metAt.get(write) ?? ((index - 1) as LogIndex)
    this.#metAt.set(write, metAt)
    return this.#rows.isPreparedUpTo(metAt)
  }

  #take({ callers }: Candidate, outcome: PlanOutcome, gathered: Gathered): void {
    if (outcome.kind === 'failed') {
      const error = statementError(outcome.failure)
      if (isOfTheState(outcome)) gathered.faulty.push({ callers, error })
      else for (const { caller } of callers) caller.reject(error)
      return
    }
    const { command, results } = outcome
    if (command.bytes.length > commandSizeBytesMax) {
      for (const { caller } of callers) {
        caller.reject(new CommandTooLargeError(`the write changes ${command.bytes.length} bytes`))
      }
      gathered.isSpoiled = true
      return
    }
    const client = (callers[0] as PendingWrite).request.client
    const kept = client === null ? null : encodeKeptResult(results)
    const entry = { client, tag: command.tag, bytes: command.bytes, kept }
    gathered.planned.push({ callers, command, results, entry })
    gathered.sizeBytes += entrySizeOf(entry)
  }
}

/** Of the batch, without an answer so far. */
export const writesOf = ({ planned, faulty }: PlannedBatch): readonly Candidate[] => [
  ...planned,
  ...faulty
]

/** It tells what is in the database, and not that there was no time to look. */
function isOfTheState({ failure: { code } }: Extract<PlanOutcome, { kind: 'failed' }>): boolean {
  return code !== 'ERR_SKEIN_STATEMENT_TIMEOUT' && code !== 'ERR_SKEIN_BACKPRESSURE'
}

function rejectAll(writes: readonly Candidate[], error: Error): void {
  for (const { callers } of writes) for (const { caller } of callers) caller.reject(error)
}

/** A retry that comes meanwhile is a candidate of its own. */
function setAside(
  { callers }: Candidate,
  rows: Rows | null,
  source: WriteSource,
  admitted: Admitted
): void {
  const client = (callers[0] as PendingWrite).request.client
  if (client !== null) admitted.byTag.delete(keyOf(client))
  source.setAside(callers, rows)
}

/** Not given up by what is executed before it in this batch; what it gives up is noted. */
function isAwaited({ clientId, serial, answeredBelow }: ClientTag, admitted: Admitted): boolean {
  const before = admitted.answeredBelow.get(clientId) ?? 0
  if (serial < before) return false
  if (answeredBelow > before) admitted.answeredBelow.set(clientId, answeredBelow)
  return true
}

const keyOf = ({ serial, clientId }: ClientTag): string => `${serial} ${clientId}`
