/**
 * A small deterministic engine behind the `Engine` port. It lives in memory and survives only
 * through its own disk: `flush`, and every so many applies by itself, writes the whole state
 * beside the old one and renames it. After a crash the log is replayed from the durable index.
 */

import { InvariantError } from '../core/assert.js'
import { after } from '../core/deadlines.js'
import { RequestTimeoutError } from '../core/errors.js'
import { compareText, DEFAULT_GROUP, type GroupId, type LogIndex } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Disk } from '../core/ports/disk.js'
import type {
  Command,
  Engine,
  EngineCapabilities,
  EngineState,
  PlanOutcome,
  PlanRequest,
  ReadOptions,
  ReadOutcome,
  SystemWrite
} from '../core/ports/engine.js'
import type { EngineContext, EngineProvider, StatementKind } from '../core/ports/engine-provider.js'
import type { Statement, StatementResult } from '../core/sql.js'
import { classifyKv, type KvView, runKv } from './kv-statements.js'

export interface KvEngineOptions {
  /** Each call of plan, apply and read takes so long. */
  readonly latencyMs: number
  /** The state is flushed by itself after so many applies; zero: only when asked. */
  readonly flushEveryApplies: number
  /** On its disk; each group has its own. */
  readonly directory: string
}

const defaults: KvEngineOptions = { latencyMs: 0, flushEveryApplies: 64, directory: 'kv' }

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
        { ...defaults, directory: kvDirectoryOf(context.group), ...options }
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
  readonly #data = new Map<string, string>()
  readonly #system = new Map<string, Uint8Array>()
  readonly #planned = new Map<string, string | null>()
  readonly #waiters = new Set<() => void>()
  #hash: [number, number] = [0, 0]
  #appliedIndex = 0
  #durableIndex = 0
  #appliesSinceFlush = 0
  #flushing: Promise<void> = Promise.resolve()

  constructor(
    components: { readonly clock: Clock; readonly disk: Disk },
    options: KvEngineOptions = defaults
  ) {
    this.#clock = components.clock
    this.#disk = components.disk
    this.#options = options
  }

  async open(): Promise<EngineState> {
    await this.#disk.makeDirectory(this.#options.directory)
    await this.#disk.syncDirectory('')
    const bytes = await this.#disk.readFile(this.#file('state'))
    if (bytes !== null) this.#load(JSON.parse(new TextDecoder().decode(bytes)) as StoredState)
    return {
      appliedIndex: this.#appliedIndex as LogIndex,
      durableIndex: this.#durableIndex as LogIndex
    }
  }

  capabilities(): EngineCapabilities {
    return { name: 'kv', interactiveTransactions: false, snapshots: false, language: 'kv' }
  }

  version(): number {
    return 1
  }

  async plan(request: PlanRequest): Promise<PlanOutcome> {
    await this.#pause()
    const changes = new Map<string, string | null>()
    const view: KvView = {
      get: (key) => changes.get(key) ?? (changes.has(key) ? null : this.#plannedValue(key)),
      set: (key, value) => changes.set(key, value)
    }
    const ran = runAll(request.statements, view)
    if (ran.kind === 'failed') return ran
    for (const [key, value] of changes) this.#planned.set(key, value)
    const text = JSON.stringify([...changes] satisfies KvChange[])
    const command = { tag: 'kv', bytes: new TextEncoder().encode(text) }
    return { kind: 'planned', command, results: ran.results }
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
    for (const { key, value } of systemWrites) {
      if (value === null) this.#system.delete(key)
      else this.#system.set(key, value.slice())
    }
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

  async close(): Promise<void> {
    await this.#flushing
  }

  /** Changes a value behind everybody's back, so that replicas differ: for tests of divergence. */
  corrupt(key: string, value: string): void {
    this.#put(key, value)
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
    const state: StoredState = {
      index,
      data: [...this.#data],
      system: [...this.#system].map(([key, value]) => [key, [...value]] as const)
    }
    const file = await this.#disk.open(this.#file('state.new'))
    await file.truncate(0)
    await file.write(0, [new TextEncoder().encode(JSON.stringify(state))])
    await file.sync()
    await file.close()
    await this.#disk.rename(this.#file('state.new'), this.#file('state'))
    await this.#disk.syncDirectory(this.#options.directory)
    this.#durableIndex = index
  }

  #file(name: string): string {
    return `${this.#options.directory}/${name}`
  }

  #load(state: StoredState): void {
    for (const [key, value] of state.data) this.#put(key, value)
    for (const [key, value] of state.system) this.#system.set(key, Uint8Array.from(value))
    this.#appliedIndex = state.index
    this.#durableIndex = state.index
  }
}

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
