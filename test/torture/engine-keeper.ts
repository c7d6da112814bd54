/**
 * SQLite writes its files itself, beyond the `Disk` port, and its write-ahead file is synced by
 * `flush` and `open` alone. What power loss may leave of them is kept beside: a copy of the
 * engine's directory as it was when such a sync had ended. `putBack` lays it in the directory's
 * place after the process has died, as if nothing later had reached the disk.
 */
import { cp, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Engine, EngineProvider, LogIndex } from '../../src/core/index.js'

/** Of SQLite, made anew from the others when it is missing. */
const isShared = (file: string): boolean => file.endsWith('-shm')

/** The provider's engines, each of which leaves a copy whenever its files are durable. */
export function keepingCopies(provider: EngineProvider): EngineProvider {
  return {
    create(context) {
      const engine = provider.create(context)
      const keeper = new EngineKeeper(context.directory)
      const kept: Partial<Engine> = {
        open: () => keeper.alone(() => engine.open().then((state) => keeper.copied(state))),
        flush: () => keeper.alone(() => engine.flush().then((index) => keeper.copied(index))),
        // Nothing is committed, and nothing moved from one file to the other, during a copy.
        apply: (...args) => keeper.alone(() => engine.apply(...args))
      }
      return new Proxy(engine, {
        get(target, name) {
          const own = Reflect.get(kept, name)
          if (own !== undefined) return own
          const value: unknown = Reflect.get(target, name)
          return typeof value === 'function' ? value.bind(target) : value
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

  async copied<T extends LogIndex | object>(answer: T): Promise<T> {
    const { parent, name } = placesOf(this.#directory)
    const number = 1 + Math.max(0, ...(await copiesIn(this.#directory)))
    const waiting = join(parent, `${name}.copying`)
    await rm(waiting, { recursive: true, force: true })
    await cp(this.#directory, waiting, {
      recursive: true,
      filter: (file) => !isShared(file)
    })
    await rename(waiting, join(parent, `${name}.copy-${number}`))
    await rm(join(parent, `${name}.copy-${number - 1}`), { recursive: true, force: true })
    return answer
  }
}

/** The engine's process must be gone. Without a copy nothing had ever been durable. */
export async function putBack(directory: string): Promise<void> {
  const { parent, name } = placesOf(directory)
  const copies = await copiesIn(directory)
  await rm(directory, { recursive: true, force: true })
  if (copies.length === 0) await mkdir(directory, { recursive: true, mode: 0o700 })
  else {
    const latest = join(parent, `${name}.copy-${Math.max(...copies)}`)
    await cp(latest, directory, { recursive: true })
  }
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
