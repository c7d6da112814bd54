import { localKeyPrefix } from '../consensus/index.js'
import type { Engine, EngineRestore, SystemWrite } from '../core/index.js'
import { chain } from './log-mirror.js'

export interface EngineWatch {
  /** The engine is open and holds this. */
  onOpened(index: number, state: string): Promise<void>
  /** Everything up to `index` is applied, with these system writes, and this is what it made. */
  onApplied(index: number, state: string, writes: readonly SystemWrite[]): Promise<void>
  /** A snapshot has replaced what the engine held. */
  onRestored(index: number, state: string): Promise<void>
}

/**
 * The same engine; `watch` is told the content after each apply: a hash of the data, and one of the
 * system writes. How many entries one apply brings is a replica's own business, so contents are
 * what can be compared.
 */
export function watchEngine(engine: Engine, watch: EngineWatch): Engine {
  let system = new SystemState()
  const restored = (restore: EngineRestore): EngineRestore => ({
    ...(restore.lasting === undefined ? {} : { lasting: restore.lasting }),
    write: (offset, bytes) => restore.write(offset, bytes),
    abandon: () => restore.abandon(),
    finish: async (writes) => {
      const state = await restore.finish(writes)
      system = new SystemState()
      system.put(await engine.readSystem(''))
      await watch.onRestored(state.appliedIndex, await stateOf())
      return state
    }
  })
  const { prepare, snapshot, restore } = engine
  const snapshots =
    snapshot === undefined || restore === undefined
      ? {}
      : {
          snapshot: () => snapshot.call(engine),
          restore: async (...args: Parameters<typeof restore>) =>
            restored(await restore.call(engine, ...args))
        }
  const stateOf = async () => `${(await engine.checksum()).hash} ${system.hash}`
  return {
    ...snapshots,
    ...(prepare === undefined ? {} : { prepare: prepare.bind(engine) }),
    open: async (options) => {
      const opened = await engine.open(options)
      system.put(await engine.readSystem(''))
      await watch.onOpened(opened.appliedIndex, await stateOf())
      return opened
    },
    apply: async (commands, writes, index) => {
      await engine.apply(commands, writes, index)
      system.put(writes)
      await watch.onApplied(index, await stateOf(), writes)
    },
    capabilities: () => engine.capabilities(),
    version: () => engine.version(),
    plan: (request, context) => engine.plan(request, context),
    discard: () => engine.discard(),
    read: (statements, options) => engine.read(statements, options),
    readSystem: (prefix) => engine.readSystem(prefix),
    flush: () => engine.flush(),
    checksum: () => engine.checksum(),
    close: () => engine.close()
  }
}

/** A sum over the pairs: it costs what changes. */
class SystemState {
  readonly #hashes = new Map<string, number>()
  #sum = 0

  get hash(): string {
    return this.#sum.toString(16)
  }

  put(writes: readonly SystemWrite[]): void {
    for (const { key, value } of writes) {
      // A replica's own, in which they differ.
      if (key.startsWith(localKeyPrefix)) continue
      const before = this.#hashes.get(key) ?? 0
      const after = value === null ? 0 : pairHash(key, value)
      this.#hashes.set(key, after)
      this.#sum = (this.#sum - before + after + modulus) % modulus
    }
  }
}

/** Sums of three stay exact. */
const modulus = 2 ** 50

function pairHash(key: string, value: Uint8Array): number {
  return chain(chain(0, 1, Buffer.from(key, 'latin1')), 2, value) % modulus
}
