/**
 * The control group's engine: `ControlState` in memory, its image in one file. Only a flush makes
 * it durable; what came after is applied again from the log.
 *
 * 1. State, system keys and index change together, in one turn: nobody sees one without the other.
 * 2. `durableIndex` is that of an image that was synced under its name. An image is written beside
 *    the old one and renamed, so a crash leaves the one or the other, whole.
 * 3. A write or sync that failed is fail-stop: nothing is flushed after it.
 *
 * A statement names a section in place of SQL. To write: parameters are the format and the encoded
 * change, the result's one value is the encoded answer. To read: the one value is the encoded
 * state.
 */
import { assert } from '../core/assert.js'
import { NEVER } from '../core/deadlines.js'
import {
  ChangeRefusedError,
  EngineFailedError,
  LogCorruptedError,
  SnapshotRefusedError
} from '../core/errors.js'
import { compareText, type LogIndex, type MonotonicMs, type WallMs } from '../core/ids.js'
import { nextLogTime } from '../core/log-time.js'
import type { Clock } from '../core/ports/clock.js'
import type { Crypto } from '../core/ports/crypto.js'
import type { Disk } from '../core/ports/disk.js'
import type {
  Command,
  Engine,
  EngineCapabilities,
  EngineRestore,
  EngineSnapshot,
  EngineState,
  PlanContext,
  PlanOutcome,
  PlanRequest,
  ReadOutcome,
  SnapshotDescription,
  SystemWrite
} from '../core/ports/engine.js'
import { factsOf } from '../core/remote-error.js'
import type { Statement, StatementResult } from '../core/sql.js'
import { controlChangeBytesMax, controlFormat, controlTag, encodeWith } from './change-command.js'
import type { AnySection, AppliedChange, ChangeRequest, PlannedChange } from './control-state.js'
import { ControlState, formatOfChange } from './control-state.js'
import { describeImage, IncomingImage } from './image-transfer.js'
import type { ControlSection } from './section.js'
import { decodeImage, encodeImage } from './state-image.js'

export interface ControlEngineComponents {
  readonly clock: Clock
  readonly crypto: Crypto
  /** Of the node's data directory. */
  readonly disk: Disk
  readonly sections: readonly AnySection[]
  /** The newest that this node's software speaks. */
  readonly formatMax: number
  /** Told of each change, in order, when all of its entry is applied. */
  onApplied(applied: AppliedChange): void
}

export const controlDirectory = 'control'
export const controlImageFile = `${controlDirectory}/image`
const temporaryFile = `${controlDirectory}/image.new`

export class ControlEngine implements Engine {
  readonly #components: ControlEngineComponents
  readonly #state: ControlState
  readonly #system = new Map<string, Uint8Array>()
  /** What the state will be when all that is planned is applied; null: nothing is planned. */
  #planned: ControlState | null = null
  /** The last change. */
  #appliedAt: MonotonicMs
  #appliedIndex = 0 as LogIndex
  #durableIndex = 0 as LogIndex
  /** Something is not in the image on disk. */
  #isDirty = false
  #flushing: Promise<void> = Promise.resolve()
  #failure: unknown = null

  constructor(components: ControlEngineComponents) {
    this.#components = components
    this.#appliedAt = components.clock.now()
    this.#state = new ControlState(components.sections, components.formatMax)
  }

  /** @throws EngineFailedError, LogCorruptedError */
  async open(): Promise<EngineState> {
    const { disk } = this.#components
    await disk.makeDirectory(controlDirectory)
    await disk.syncDirectory('')
    const bytes = await disk.readFile(controlImageFile)
    if (bytes !== null) {
      // What a dead process may have left un-synced is built upon from here.
      await disk.syncDirectory(controlDirectory)
      this.restoreState(bytes)
      this.#durableIndex = this.#appliedIndex
      this.#isDirty = false
    }
    return { appliedIndex: this.#appliedIndex, durableIndex: this.#durableIndex }
  }

  capabilities(): EngineCapabilities {
    return {
      name: 'control',
      interactiveTransactions: false,
      snapshots: true,
      language: 'control'
    }
  }

  version(): number {
    return controlFormat
  }

  async plan({ statements }: PlanRequest, { index }: PlanContext): Promise<PlanOutcome> {
    assert(index !== undefined, 'a control change is planned for an index')
    const [statement, ...others] = statements
    const request = statement === undefined ? null : changeIn(statement)
    if (request === null || others.length > 0) {
      return failed('the control group takes changes of its sections, no SQL')
    }
    // A plan that is refused has left no trace: only one that fits becomes part of the batch.
    const next = (this.#planned ?? this.#state).fork()
    const planned = this.#planOn(next, request, index)
    if (planned.kind === 'refused') return failed(planned.reason)
    this.#planned = next
    const command = { tag: controlTag, bytes: planned.command }
    return { kind: 'planned', command, results: [resultOf('answer', planned.answer)] }
  }

  /**
   * The command of a change behind everything that is applied. Nothing is planned afterwards.
   * @throws ChangeRefusedError
   */
  async planChange<State, Change, Answer>(
    section: ControlSection<State, Change, Answer>,
    change: Change,
    index: LogIndex
  ): Promise<Command> {
    const bytes = encodeWith(section.change, change, controlChangeBytesMax)
    const format = formatOfChange(section, change)
    const statements = [statementOf({ section: section.name, format, change: bytes })]
    const planned = await this.plan({ statements }, { index, deadline: NEVER })
    await this.discard()
    if (planned.kind === 'planned') return planned.command
    throw new ChangeRefusedError(planned.failure.message)
  }

  async apply(
    commands: readonly Command[],
    systemWrites: readonly SystemWrite[],
    index: LogIndex
  ): Promise<void> {
    assert(index > this.#appliedIndex, `apply of ${index} after ${this.#appliedIndex}`)
    this.#planned = null
    const applied = commands.map(({ tag, bytes }) => {
      if (tag !== controlTag) throw new EngineFailedError(`committed: a command ${tag}`)
      return this.#state.apply(bytes)
    })
    this.#writeSystem(systemWrites)
    this.#appliedIndex = index
    if (applied.length > 0) this.#appliedAt = this.#components.clock.now()
    this.#isDirty = true
    for (const one of applied) this.#components.onApplied(one)
  }

  async discard(): Promise<void> {
    this.#planned = null
  }

  async read(statements: readonly Statement[]): Promise<ReadOutcome> {
    const results: StatementResult[] = []
    for (const { sql } of statements) {
      const state = this.#state.encodedStateOf(sql)
      if (state === null) return failed(`there is no section ${sql}`)
      results.push(resultOf('state', state))
    }
    return { kind: 'rows', results, index: this.#appliedIndex }
  }

  async readSystem(prefix: string): Promise<readonly SystemWrite[]> {
    return this.#sortedSystem().filter(({ key }) => key.startsWith(prefix))
  }

  async flush(): Promise<LogIndex> {
    const flushed = this.#flushing.then(() => this.#store())
    // Whoever flushes next meets the failure by itself.
    this.#flushing = flushed.catch(() => {})
    await flushed
    return this.#durableIndex
  }

  async checksum(): Promise<{ readonly index: LogIndex; readonly hash: string }> {
    const content = encodeImage({
      appliedIndex: 0 as LogIndex,
      now: this.#state.now,
      system: [],
      sections: this.#state.images()
    })
    return { index: this.#appliedIndex, hash: hex(this.#components.crypto.sha256(content)) }
  }

  async snapshot(): Promise<EngineSnapshot> {
    const image = this.encodeState()
    return {
      description: describeImage(this.#components.crypto, image, this.#appliedIndex),
      read: async (offset, lengthBytes) => image.slice(offset, offset + lengthBytes),
      close: async () => {}
    }
  }

  async restore(description: SnapshotDescription): Promise<EngineRestore> {
    const incoming = new IncomingImage(description)
    return {
      write: async (offset, bytes) => incoming.write(offset, bytes),
      finish: async (systemWrites) => {
        this.#replace(incoming.whole(this.#components.crypto), systemWrites)
        await this.flush()
        return { appliedIndex: this.#appliedIndex, durableIndex: this.#durableIndex }
      },
      abandon: async () => {}
    }
  }

  async close(): Promise<void> {
    await this.#flushing
  }

  /** As of the last apply; a value that nobody changes. */
  stateOf<State, Change, Answer>(section: ControlSection<State, Change, Answer>): State {
    return this.#state.stateOf(section)
  }

  knows<State, Change, Answer>(section: ControlSection<State, Change, Answer>): boolean {
    return this.#state.knows(section)
  }

  /** Everything as of the last apply, with its index inside. */
  encodeState(): Uint8Array {
    return encodeImage({
      appliedIndex: this.#appliedIndex,
      now: this.#state.now,
      system: this.#sortedSystem(),
      sections: this.#state.images()
    })
  }

  /**
   * Takes the place of everything; durable with the next flush.
   * @throws LogCorruptedError damaged; EngineFailedError made by software that knows more
   */
  restoreState(bytes: Uint8Array): void {
    this.#planned = null
    try {
      const { appliedIndex, now, system, sections } = decodeImage(bytes)
      this.#state.restore(now, sections)
      this.#system.clear()
      for (const { key, value } of system) this.#system.set(key, value.slice())
      this.#appliedIndex = appliedIndex
      this.#appliedAt = this.#components.clock.now()
      this.#isDirty = true
    } catch (error) {
      if (error instanceof EngineFailedError) throw error
      const why = factsOf(error).message
      throw new LogCorruptedError(`the control group's image: ${why}`, { cause: error })
    }
  }

  /** @throws SnapshotRefusedError the content is what it was */
  #replace(image: Uint8Array, systemWrites: readonly SystemWrite[]): void {
    try {
      this.restoreState(image)
    } catch (cause) {
      throw new SnapshotRefusedError('the image cannot be read', { cause })
    }
    this.#writeSystem(systemWrites)
  }

  #writeSystem(systemWrites: readonly SystemWrite[]): void {
    for (const { key, value } of systemWrites) {
      if (value === null) this.#system.delete(key)
      else this.#system.set(key, value.slice())
    }
  }

  #planOn(state: ControlState, request: ChangeRequest, index: LogIndex): PlannedChange {
    try {
      return state.plan(request, index, this.#logTime())
    } catch (error) {
      const { code, message } = factsOf(error)
      if (code !== 'ERR_SKEIN_PROTOCOL') throw error
      return { kind: 'refused', reason: `a change of ${request.section}: ${message}` }
    }
  }

  /** Of all changes of one entry, each a bit later than the one before. */
  #logTime(): WallMs {
    const { clock } = this.#components
    const elapsedMs = clock.now() - this.#appliedAt
    const wallNow = clock.wallNow()
    return nextLogTime({ last: this.#state.now, elapsedMs, wallNow }) as WallMs
  }

  #sortedSystem(): { key: string; value: Uint8Array }[] {
    return [...this.#system]
      .sort(([a], [b]) => compareText(a, b))
      .map(([key, value]) => ({ key, value }))
  }

  async #store(): Promise<void> {
    if (this.#failure !== null) {
      throw new EngineFailedError('an earlier flush failed', { cause: this.#failure })
    }
    if (!this.#isDirty) return
    const index = this.#appliedIndex
    this.#isDirty = false
    try {
      await this.#write(this.encodeState())
    } catch (error) {
      this.#failure = error
      throw error
    }
    this.#durableIndex = index
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const { disk } = this.#components
    const file = await disk.open(temporaryFile)
    try {
      await file.truncate(0)
      await file.writeDurably(0, [bytes])
    } finally {
      await file.close()
    }
    await disk.rename(temporaryFile, controlImageFile)
    await disk.syncDirectory(controlDirectory)
  }
}

/** What a change looks like as a statement. */
export const statementOf = ({ section, format, change }: ChangeRequest): Statement => ({
  sql: section,
  params: [format, change]
})

/** Null: it is none. */
function changeIn({ sql, params }: Statement): ChangeRequest | null {
  if (!Array.isArray(params)) return null
  const [format, change, ...others]: readonly unknown[] = params
  if (typeof format !== 'number' || !(change instanceof Uint8Array)) return null
  return others.length === 0 ? { section: sql, format, change } : null
}

/** The encoded answer or state. */
export function valueIn(results: readonly StatementResult[]): Uint8Array {
  const value = results[0]?.rows[0]?.[0]
  assert(value instanceof Uint8Array, 'the control engine answered something else')
  return value
}

const resultOf = (column: string, value: Uint8Array): StatementResult => ({
  columns: [column],
  rows: [[value]],
  rowsAffected: 0,
  lastInsertRowid: null
})

const failed = (message: string) => ({
  kind: 'failed' as const,
  failure: { code: 'ERR_SKEIN_SQL_REFUSED', message, statement: 0 }
})

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
