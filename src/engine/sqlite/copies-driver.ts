import { EngineFailedError, SnapshotRefusedError } from '../../core/errors.js'
import type {
  EngineRestore,
  EngineSnapshot,
  EngineState,
  RestoreOptions,
  SnapshotDescription,
  SnapshotStart,
  SystemWrite
} from '../../core/ports/engine.js'
import { factsOf } from '../../core/remote-error.js'
import type { ChannelOpener, EngineCallBody } from './channel.js'
import { EngineRpc } from './rpc-driver.js'
import { takenFiles } from './taken-files.js'

/**
 * Snapshots and restores of a database, each in a place of its own beside writer and readers: a
 * large copy holds up nobody but itself. What fails there leaves the database as it was.
 */
export class CopiesDriver {
  readonly #openChannel: ChannelOpener
  readonly #open = new Set<EngineRpc>()
  /** Whose file each copy is; undefined: nobody's. */
  readonly #slots: (EngineRpc | undefined)[] = takenFiles.map(() => undefined)

  constructor(openChannel: ChannelOpener) {
    this.#openChannel = openChannel
  }

  /** Whatever fails ends the copier. */
  async begin(): Promise<SnapshotStart> {
    const slot = this.#slots.indexOf(undefined)
    if (slot < 0) throw new SnapshotRefusedError('as many copies as may be are open')
    const copier = this.#start()
    this.#slots[slot] = copier
    await this.#step(copier, { op: 'beginSnapshot', slot })
    let isCopied = false
    return {
      pin: () => this.#step(copier, { op: 'pinSnapshot' }),
      copy: async () => {
        const description = await this.#step<SnapshotDescription>(copier, { op: 'takeSnapshot' })
        isCopied = true
        return this.#snapshotOf(copier, description)
      },
      abandon: async () => {
        if (!isCopied) await this.#drop(copier)
      }
    }
  }

  #snapshotOf(copier: EngineRpc, description: SnapshotDescription): EngineSnapshot {
    return {
      description,
      read: (offset, lengthBytes) => call(copier, { op: 'readSnapshot', offset, lengthBytes }),
      close: () => this.#drop(copier)
    }
  }

  async #drop(copier: EngineRpc): Promise<void> {
    if (!this.#open.has(copier)) return
    await call(copier, { op: 'dropSnapshot' }).finally(() => this.#end(copier))
  }

  /** `swap` has the database replaced by the file that was checked. */
  async restore(
    description: SnapshotDescription,
    { resumes }: RestoreOptions,
    swap: () => Promise<EngineState>
  ): Promise<EngineRestore> {
    const copier = this.#start()
    await this.#step(copier, { op: 'beginRestore', description, resumes })
    const end = async (op: 'dropRestore' | 'suspendRestore') => {
      if (this.#open.has(copier)) await call(copier, { op }).finally(() => this.#end(copier))
    }
    return {
      write: (offset, bytes) => call(copier, { op: 'writeRestore', offset, bytes }),
      finish: async (writes: readonly SystemWrite[]) => {
        await call(copier, { op: 'checkRestore', description, writes })
        await this.#end(copier)
        return swap()
      },
      abandon: () => end('dropRestore'),
      lasting: {
        read: (offset, lengthMax) => call(copier, { op: 'readRestore', offset, lengthMax }),
        sync: () => call(copier, { op: 'syncRestore' }),
        suspend: () => end('suspendRestore')
      }
    }
  }

  async close(): Promise<void> {
    for (const copier of [...this.#open]) await this.#end(copier)
  }

  #start(): EngineRpc {
    const copier: EngineRpc = new EngineRpc(this.#openChannel, 'copier', () => {
      this.#forget(copier)
    })
    this.#open.add(copier)
    return copier
  }

  async #step<T = void>(copier: EngineRpc, body: EngineCallBody): Promise<T> {
    try {
      return await call<T>(copier, body)
    } catch (error) {
      await this.#end(copier)
      throw error
    }
  }

  async #end(copier: EngineRpc): Promise<void> {
    const hasEnded = await copier.kill()
    this.#forget(copier)
    if (!hasEnded) throw new EngineFailedError('a copy of the database does not end')
  }

  #forget(copier: EngineRpc): void {
    this.#open.delete(copier)
    const slot = this.#slots.indexOf(copier)
    if (slot >= 0) this.#slots[slot] = undefined
  }
}

/** Whatever goes wrong with a copy is the copy's fault. */
async function call<T = void>(copier: EngineRpc, body: EngineCallBody): Promise<T> {
  try {
    return await copier.call<T>(body)
  } catch (cause) {
    throw new SnapshotRefusedError(factsOf(cause).message, { cause })
  }
}
