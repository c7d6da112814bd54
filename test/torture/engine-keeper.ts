/**
 * SQLite writes its files itself, beyond the `Disk` port, and its write-ahead file is synced by
 * `open` and `flush`, and by a snapshot that was taken in. What power loss may leave of them is
 * kept beside: a copy of the files as they were when such a sync had ended. `putBack` lays it in
 * their place after the process has died, as if nothing later had reached the disk.
 */
import { cp, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Engine, EngineProvider, LogIndex } from '../../src/core/index.js'

/** The third, `-shm`, is made anew from these when it is missing. */
const databaseFiles: readonly string[] = ['data.sqlite', 'data.sqlite-wal']

/** Of an engine that takes snapshots in. */
interface Restore {
  finish(...args: readonly unknown[]): Promise<object>
}

/** The provider's engines, each of which leaves a copy whenever its files are durable. */
export function keepingCopies(provider: EngineProvider): EngineProvider {
  return {
    create(context) {
      const engine = provider.create(context)
      const keeper = new EngineKeeper(context.directory)
      const kept: Partial<Engine> = {
        open: (options) =>
          keeper.alone(() => engine.open(options).then((state) => keeper.copied(state))),
        flush: () => keeper.alone(() => engine.flush().then((index) => keeper.copied(index))),
        // Nothing is committed, and nothing moved from one file to the other, during a copy.
        apply: (...args) => keeper.alone(() => engine.apply(...args))
      }
      return new Proxy(engine, {
        get(target, name) {
          const own = Reflect.get(kept, name)
          if (own !== undefined) return own
          const value: unknown = Reflect.get(target, name)
          if (typeof value !== 'function') return value
          const bound = value.bind(target)
          return name === 'restore' ? keeper.restoring(bound) : bound
        }
      })
    },
    ...(provider.classify === undefined ? {} : { classify: provider.classify.bind(provider) })
  }
}

class EngineKeeper {
  readonly #directory: string
  #last: Promise<unknown> = Promise.resolve()

  constructor(directory: string) {
    this.#directory = directory
  }

  alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }

  /** What was taken in is durable when it is finished. */
  restoring(restore: (...args: readonly unknown[]) => Promise<Restore>): typeof restore {
    return async (...args) => {
      const under = await restore(...args)
      return new Proxy(under, {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name)
          if (typeof value !== 'function') return value
          const bound = value.bind(target)
          if (name !== 'finish') return bound
          return (...given: readonly unknown[]) =>
            this.alone(() => bound(...given).then((state: object) => this.copied(state)))
        }
      })
    }
  }

  async copied<T extends LogIndex | object>(answer: T): Promise<T> {
    const { parent, name } = placesOf(this.#directory)
    const number = 1 + Math.max(0, ...(await copiesIn(this.#directory)))
    const waiting = join(parent, `${name}.copying`)
    await rm(waiting, { recursive: true, force: true })
    await cp(this.#directory, waiting, {
      recursive: true,
      filter: (file) => file === this.#directory || databaseFiles.includes(basename(file))
    })
    await rename(waiting, join(parent, `${name}.copy-${number}`))
    await rm(join(parent, `${name}.copy-${number - 1}`), { recursive: true, force: true })
    return answer
  }
}

/**
 * For every engine of a node, whose process must be gone.
 *
 * @returns how many
 */
export async function putBack(dataDirectory: string): Promise<number> {
  const engines = (await readdir(dataDirectory)).filter((name) => /^engine-\d+$/.test(name))
  let count = 0
  for (const name of engines) {
    const directory = join(dataDirectory, name)
    const copies = await copiesIn(directory)
    if (copies.length === 0) continue
    await rm(directory, { recursive: true, force: true })
    await cp(`${directory}.copy-${Math.max(...copies)}`, directory, { recursive: true })
    count++
  }
  return count
}

async function copiesIn(directory: string): Promise<number[]> {
  const { parent, name } = placesOf(directory)
  const prefix = `${name}.copy-`
  return (await readdir(parent))
    .filter((file) => file.startsWith(prefix))
    .map((file) => Number(file.slice(prefix.length)))
}

const placesOf = (directory: string) => ({
  parent: dirname(directory),
  name: basename(directory)
})
