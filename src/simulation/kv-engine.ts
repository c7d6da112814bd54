/**
 * A small deterministic engine behind the `Engine` port. It lives in memory and survives only
 * through its own disk: `flush`, and every so many applies by itself, writes the whole state
 * beside the old one and renames it. After a crash the log is replayed from the durable index. A
 * snapshot is the same text, in a file of its own.
 */

import { createHash } from 'node:crypto'

import { InvariantError } from '../core/assert.js'
import { after } from '../core/deadlines.js'
import { RequestTimeoutError, SnapshotRefusedError } from '../core/errors.js'
import { compareText, DEFAULT_GROUP, type GroupId, type LogIndex } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Disk, DiskFile } from '../core/ports/disk.js'
import type {
  Command,
  Engine,
  EngineCapabilities,
  EngineOpenOptions,
  EngineRestore,
  EngineSnapshot,
  EngineState,
  PlanOutcome,
  PlanRequest,
  ReadOptions,
  ReadOutcome,
  RestoreOptions,
  SnapshotDescription,
  SystemWrite
} from '../core/ports/engine.js'
import type { PrepareOutcome } from '../core/ports/engine-prepare.js'
import type { EngineContext, EngineProvider, StatementKind } from '../core/ports/engine-provider.js'
import type { Statement, StatementResult } from '../core/sql.js'
import { classifyKv, type KvView, runKv } from './kv-statements.js'

export interface KvEngineOptions {
  /** Each call of plan, apply and read takes so long. */
  readonly latencyMs: number
  /** The state is flushed by itself after so many applies; zero: only when asked. */
  readonly flushEveryApplies: number
  /** A snapshot is larger by so much than what it holds. */
  readonly snapshotPaddingBytes: number
  /** On its disk; each group has its own. */
  readonly directory: string
}

const defaults: KvEngineOptions = {
  latencyMs: 0,
  flushEveryApplies: 64,
  snapshotPaddingBytes: 0,
  directory: 'kv'
}
const spaceCode = 32

/** Where the state of a group lies. */
export const kvDirectoryOf = (group: GroupId): string =>
  group === DEFAULT_GROUP ? 'kv' : `kv-${group}`

/** `diskOf` answers the disk that outlives the engine's process. */
export function kvEngineProvider(
  diskOf: (context: EngineContext) => Disk,
  options: Partial<KvEngineOptions> = {}
): EngineProvider {
  return {
    create: (context) =>
      new KvEngine(
        { clock: context.clock, disk: diskOf(context) },
        { directory: kvDirectoryOf(context.group), ...options }
      ),
    classify: (statement: string): StatementKind => classifyKv(statement)
  }
}

interface StoredState {
  readonly index: number
  readonly data: readonly (readonly [string, string])[]
  readonly system: readonly (readonly [string, readonly number[]])[]
}

type KvChange = readonly [key: string, value: string | null]

export class KvEngine implements Engine {
  readonly #clock: Clock
  readonly #disk: Disk
  readonly #options: KvEngineOptions
  #data = new Map<string, string>()
  #system = new Map<string, Uint8Array>()
  readonly #planned = new Map<string, string | null>()
  readonly #waiters = new Set<() => void>()
  #hash: [number, number] = [0, 0]
  #appliedIndex = 0
  #durableIndex = 0
  #appliesSinceFlush = 0
  #flushing: Promise<void> = Promise.resolve()

  constructor(
    components: { readonly clock: Clock; readonly disk: Disk },
    options: Partial<KvEngineOptions> = {}
  ) {
    this.#clock = components.clock
    this.#disk = components.disk
    this.#options = { ...defaults, ...options }
  }

  async open({ keepsRestore }: EngineOpenOptions = { keepsRestore: false }): Promise<EngineState> {
    await this.#disk.makeDirectory(this.#options.directory)
    await this.#disk.syncDirectory('')
    const leftBehind = keepsRestore ? [takenName] : [takenName, incomingName]
    for (const name of leftBehind.map((one) => this.#file(one))) {
      if ((await this.#disk.readFile(name)) !== null) await this.#disk.remove(name)
    }
    const bytes = await this.#disk.readFile(this.#file('state'))
    if (bytes !== null) this.#load(decodeState(bytes))
    return this.#state
  }

  capabilities(): EngineCapabilities {
    return { name: 'kv', interactiveTransactions: false, snapshots: true, language: 'kv' }
  }

  version(): number {
    return 1
  }

  async plan(request: PlanRequest): Promise<PlanOutcome> {
    await this.#pause()
    const ran = this.#run(request)
    if (ran.kind === 'failed') return ran
    const { changes, results } = ran
    for (const [key, value] of changes) this.#planned.set(key, value)
    return { kind: 'planned', command: commandOf(changes), results }
  }

  async prepare(request: PlanRequest): Promise<PrepareOutcome> {
    await this.#pause()
    const ran = this.#run(request)
    if (ran.kind === 'failed') return ran
    const { changes, results, readKeys } = ran
    const writeKeys = [...changes.keys()]
    const readOnly = changes.size === 0
    const command = commandOf(changes)
    return { kind: 'prepared', command, results, readKeys, writeKeys, readOnly }
  }

  async apply(
    commands: readonly Command[],
    systemWrites: readonly SystemWrite[],
    index: LogIndex
  ): Promise<void> {
    await this.#pause()
    if (index <= this.#appliedIndex) {
      throw new InvariantError(`apply of ${index} after ${this.#appliedIndex}`)
    }
    this.#planned.clear()
    for (const { bytes } of commands) {
      const changes = JSON.parse(new TextDecoder().decode(bytes)) as readonly KvChange[]
      for (const [key, value] of changes) this.#put(key, value)
    }
    for (const write of systemWrites) this.#putSystem(write)
    this.#appliedIndex = index
    for (const wake of [...this.#waiters]) wake()
    this.#appliesSinceFlush++
    if (this.#appliesSinceFlush === this.#options.flushEveryApplies) await this.flush()
  }

  async discard(): Promise<void> {
    this.#planned.clear()
  }

  async read(statements: readonly Statement[], options: ReadOptions): Promise<ReadOutcome> {
    await this.#pause()
    await this.#untilApplied(options)
    const index = this.#appliedIndex as LogIndex
    const ran = runAll(statements, {
      get: (key) => this.#data.get(key) ?? null,
      set: () => {
        throw new InvariantError('a read may not write')
      }
    })
    if (ran.kind === 'failed') return ran
    return { kind: 'rows', results: ran.results, index }
  }

  async readSystem(prefix: string): Promise<readonly SystemWrite[]> {
    return [...this.#system]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => compareText(a, b))
      .map(([key, value]) => ({ key, value }))
  }

  async flush(): Promise<LogIndex> {
    this.#appliesSinceFlush = 0
    const flushed = this.#flushing.then(() => this.#store())
    this.#flushing = flushed
    await flushed
    return this.#durableIndex as LogIndex
  }

  async checksum(): Promise<{ readonly index: LogIndex; readonly hash: string }> {
    const hash = this.#hash.map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
    return { index: this.#appliedIndex as LogIndex, hash }
  }

  async snapshot(): Promise<EngineSnapshot> {
    const index = this.#appliedIndex as LogIndex
    // Spaces behind the text mean nothing, and make a snapshot of several parts.
    const padding = new Uint8Array(this.#options.snapshotPaddingBytes).fill(spaceCode)
    const bytes = Buffer.concat([this.#encode(), padding])
    const taken = this.#file(takenName)
    await this.#refusing(() => this.#write(taken, bytes))
    const disk = this.#disk
    return {
      description: { index, format: kvFormat, sizeBytes: bytes.length, sha256: sha256Of(bytes) },
      async read(offset, lengthBytes) {
        const file = await disk.readFile(taken)
        if (file === null) throw new InvariantError('the snapshot is closed')
        return file.slice(offset, offset + lengthBytes)
      },
      close: () => disk.remove(taken)
    }
  }

  async restore(
    description: SnapshotDescription,
    { resumes }: RestoreOptions = { resumes: false }
  ): Promise<EngineRestore> {
    const { format, sizeBytes } = description
    if (format !== kvFormat) throw new SnapshotRefusedError(`a snapshot of format ${format}`)
    const incoming = this.#file(incomingName)
    const disk = this.#disk
    const file = await (resumes ? disk.open(incoming) : this.#open(incoming))
    if (file.sizeBytes > sizeBytes) await file.truncate(sizeBytes)
    let isOpen = true
    const close = async (leaves: boolean) => {
      if (!isOpen) return
      isOpen = false
      await file.close()
      if (!leaves) await disk.remove(incoming)
    }
    return {
      write: (offset, bytes) => this.#refusing(() => file.write(offset, [bytes])),
      finish: async (systemWrites) => {
        const bytes = await disk.readFile(incoming)
        await close(false)
        if (bytes === null || bytes.length !== sizeBytes || !isOf(description, bytes)) {
          throw new SnapshotRefusedError('the snapshot is damaged')
        }
        await this.#replace(bytes, systemWrites)
        return this.#state
      },
      abandon: () => close(false),
      lasting: {
        read: async (offset, lengthMax) =>
          (await disk.readFile(incoming))?.slice(offset, offset + lengthMax) ?? new Uint8Array(),
        sync: () => this.#refusing(() => this.#syncIncoming(file)),
        suspend: () => close(true)
      }
    }
  }

  async #syncIncoming(file: DiskFile): Promise<void> {
    await file.sync()
    await this.#disk.syncDirectory(this.#options.directory)
  }

  async close(): Promise<void> {
    await this.#flushing
  }

  /** Changes a value behind everybody's back, so that replicas differ: for tests of divergence. */
  corrupt(key: string, value: string): void {
    this.#put(key, value)
  }

  /** In one step, so that plans of one batch see one another. */
  #run({ statements }: PlanRequest) {
    const changes = new Map<string, string | null>()
    const keys = new Set<string>()
    const view: KvView = {
      get: (key) => {
        keys.add(key)
        return changes.get(key) ?? (changes.has(key) ? null : this.#plannedValue(key))
      },
      set: (key, value) => changes.set(key, value)
    }
    const ran = runAll(statements, view)
    return ran.kind === 'failed' ? ran : { ...ran, changes, readKeys: [...keys] }
  }

  get #state(): EngineState {
    return {
      appliedIndex: this.#appliedIndex as LogIndex,
      durableIndex: this.#durableIndex as LogIndex
    }
  }

  /** The content of another engine, and what is this one's own. */
  async #replace(bytes: Uint8Array, systemWrites: readonly SystemWrite[]): Promise<void> {
    await this.#flushing
    this.#planned.clear()
    this.#data = new Map()
    this.#system = new Map()
    this.#hash = [0, 0]
    this.#load(decodeState(bytes))
    for (const write of systemWrites) this.#putSystem(write)
    await this.flush()
    for (const wake of [...this.#waiters]) wake()
  }

  #putSystem({ key, value }: SystemWrite): void {
    if (value === null) this.#system.delete(key)
    else this.#system.set(key, value.slice())
  }

  #plannedValue(key: string): string | null {
    if (this.#planned.has(key)) return this.#planned.get(key) ?? null
    return this.#data.get(key) ?? null
  }

  #put(key: string, value: string | null): void {
    const held = this.#data.get(key)
    if (held !== undefined) this.#mix(key, held, -1)
    if (value === null) {
      this.#data.delete(key)
    } else {
      this.#data.set(key, value)
      this.#mix(key, value, 1)
    }
  }

  /** The hash is a sum over the pairs, so that a change costs no more than itself. */
  #mix(key: string, value: string, sign: 1 | -1): void {
    const text = `${key}\n${value}`
    this.#hash = [
      (this.#hash[0] + sign * hashOf(text, 0x9e3779b1)) | 0,
      (this.#hash[1] + sign * hashOf(text, 0x85ebca77)) | 0
    ]
  }

  async #pause(): Promise<void> {
    if (this.#options.latencyMs === 0) return
    await new Promise<void>((resolve) => {
      this.#clock.schedule(after(this.#clock.now(), this.#options.latencyMs), resolve)
    })
  }

  async #untilApplied({ atLeastIndex, deadline }: ReadOptions): Promise<void> {
    if (this.#appliedIndex >= atLeastIndex) return
    await new Promise<void>((resolve, reject) => {
      const timer = this.#clock.schedule(deadline, () => {
        this.#waiters.delete(wake)
        reject(new RequestTimeoutError(`index ${atLeastIndex} was not applied in time`))
      })
      const wake = () => {
        if (this.#appliedIndex < atLeastIndex) return
        this.#waiters.delete(wake)
        timer.cancel()
        resolve()
      }
      this.#waiters.add(wake)
    })
  }

  async #store(): Promise<void> {
    const index = this.#appliedIndex
    await this.#write(this.#file('state.new'), this.#encode())
    await this.#disk.rename(this.#file('state.new'), this.#file('state'))
    await this.#disk.syncDirectory(this.#options.directory)
    this.#durableIndex = index
  }

  #file(name: string): string {
    return `${this.#options.directory}/${name}`
  }

  #encode(): Uint8Array {
    const state: StoredState = {
      index: this.#appliedIndex,
      data: [...this.#data],
      system: [...this.#system].map(([key, value]) => [key, [...value]] as const)
    }
    return new TextEncoder().encode(JSON.stringify(state))
  }

  async #open(name: string): Promise<DiskFile> {
    const file = await this.#disk.open(name)
    await file.truncate(0)
    return file
  }

  async #write(name: string, bytes: Uint8Array): Promise<void> {
    const file = await this.#open(name)
    await file.write(0, [bytes])
    await file.sync()
    await file.close()
  }

  /** What fails here is beside the content. */
  async #refusing<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      throw new SnapshotRefusedError('a file of the snapshot could not be written', { cause })
    }
  }

  #load(state: StoredState): void {
    for (const [key, value] of state.data) this.#put(key, value)
    for (const [key, value] of state.system) this.#system.set(key, Uint8Array.from(value))
    this.#appliedIndex = state.index
    this.#durableIndex = state.index
  }
}

const kvFormat = 1
/** Left behind by whoever died over it; removed at the next start. */
const takenName = 'snapshot'
const incomingName = 'incoming'

function commandOf(changes: ReadonlyMap<string, string | null>): Command {
  const text = JSON.stringify([...changes] satisfies KvChange[])
  return { tag: 'kv', bytes: new TextEncoder().encode(text) }
}

const decodeState = (bytes: Uint8Array): StoredState =>
  JSON.parse(new TextDecoder().decode(bytes)) as StoredState

const sha256Of = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.from(createHash('sha256').update(bytes).digest())

const isOf = ({ sha256 }: SnapshotDescription, bytes: Uint8Array): boolean =>
  Buffer.compare(sha256, sha256Of(bytes)) === 0

function runAll(
  statements: readonly Statement[],
  view: KvView
):
  | { readonly kind: 'ran'; readonly results: readonly StatementResult[] }
  | Extract<PlanOutcome, { kind: 'failed' }> {
  const results: StatementResult[] = []
  for (const [statement, { sql }] of statements.entries()) {
    const outcome = runKv(sql, view)
    if (outcome.kind === 'failed') {
      return { kind: 'failed', failure: { ...outcome.failure, statement } }
    }
    results.push(outcome.result)
  }
  return { kind: 'ran', results }
}

function hashOf(text: string, multiplier: number): number {
  let hash = multiplier
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), multiplier)
    hash ^= hash >>> 15
  }
  return hash | 0
}
