import { EngineFailedError, SnapshotRefusedError } from '../../core/errors.js'
import type {
  EngineRestore,
  EngineSnapshot,
  EngineState,
  SnapshotDescription,
  SystemWrite
} from '../../core/ports/engine.js'
import { factsOf } from '../../core/remote-error.js'
import type { ChannelOpener, EngineCallBody } from './channel.js'
import { EngineRpc } from './rpc-driver.js'

/**
 * Snapshots and restores of a database, each in a place of its own beside writer and readers: a
 * large copy holds up nobody but itself. What fails there leaves the database as it was.
 */
export class CopiesDriver {
  readonly #openChannel: ChannelOpener
  readonly #open = new Set<EngineRpc>()

  constructor(openChannel: ChannelOpener) {
    this.#openChannel = openChannel
  }

  async snapshot(): Promise<EngineSnapshot> {
    const copier = this.#start()
    const description = await this.#first<SnapshotDescription>(copier, { op: 'takeSnapshot' })
    return {
      description,
      read: (offset, lengthBytes) => call(copier, { op: 'readSnapshot', offset, lengthBytes }),
      close: async () => {
        if (!this.#open.has(copier)) return
        await call(copier, { op: 'dropSnapshot' }).finally(() => this.#end(copier))
      }
    }
  }

  /** `swap` has the database replaced by the file that was checked. */
  async restore(
    description: SnapshotDescription,
    swap: () => Promise<EngineState>
  ): Promise<EngineRestore> {
    const copier = this.#start()
    await this.#first(copier, { op: 'beginRestore', description })
    return {
      write: (offset, bytes) => call(copier, { op: 'writeRestore', offset, bytes }),
      finish: async (writes: readonly SystemWrite[]) => {
        await call(copier, { op: 'checkRestore', description, writes })
        await this.#end(copier)
        return swap()
      },
      abandon: async () => {
        if (!this.#open.has(copier)) return
        await call(copier, { op: 'dropRestore' }).finally(() => this.#end(copier))
      }
    }
  }

  async close(): Promise<void> {
    for (const copier of [...this.#open]) await this.#end(copier)
  }

  #start(): EngineRpc {
    const copier: EngineRpc = new EngineRpc(this.#openChannel, 'copier', () => {
      this.#open.delete(copier)
    })
    this.#open.add(copier)
    return copier
  }

  async #first<T>(copier: EngineRpc, body: EngineCallBody): Promise<T> {
    try {
      return await call<T>(copier, body)
    } catch (error) {
      await this.#end(copier)
      throw error
    }
  }

  async #end(copier: EngineRpc): Promise<void> {
    this.#open.delete(copier)
    if (await copier.kill()) return
    throw new EngineFailedError('a copy of the database does not end')
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
