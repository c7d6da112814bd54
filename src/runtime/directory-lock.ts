/**
 * One holder per directory, for as long as its process lives.
 *
 * A claimant listens on a Unix socket of its own in the lock's directory, and looks at the others'
 * only when its own is in place: of two claimants the second to look sees the first, so both
 * cannot hold it. The kernel closes the socket of a process that dies, however it dies: a name
 * that refuses connections is dead for ever and can be removed by anyone. Neither process ids,
 * which are used again, nor start times take part, and it holds across the containers of one
 * machine.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join, relative } from 'node:path'
import { DataDirectoryInUseError, type DiskLock } from '../core/index.js'
import { makeDirectory } from './make-directory.js'

/** What fits `sun_path` everywhere. */
const shortPathBytes = 100
/** Claimants that met one another step back and try again so often. */
const claimAttemptsMax = 30
const longestPauseMs = 40
/** A holder that does not answer is stopped or busy, and holds. */
const answerTimeoutMs = 500

const claimPrefix = 'claim-'
const unreadyPrefix = 'unready-'

/** @throws DataDirectoryInUseError another process, or another part of this one, holds it */
export async function lockDirectory(directory: string): Promise<DiskLock> {
  await makeDirectory(directory)
  for (let attempt = 1; ; attempt++) {
    const claim = await Claim.make(directory)
    const others = await claim.others()
    if (others.length === 0) {
      claim.hold()
      return { release: () => claim.withdraw() }
    }
    await claim.withdraw()
    const holder = others.find((other) => other !== 'claiming')
    if (holder !== undefined || attempt === claimAttemptsMax) {
      throw new DataDirectoryInUseError(
        `${directory} is locked by ${holder ?? 'other claimants'}; stop that process first`
      )
    }
    await pause(randomInt(longestPauseMs))
  }
}

class Claim {
  readonly #directory: string
  readonly #name = `${claimPrefix}${randomBytes(8).toString('hex')}`
  readonly #short: ShortPaths
  #answer = 'claiming'
  #server: Server | null = null

  private constructor(directory: string, short: ShortPaths) {
    this.#directory = directory
    this.#short = short
  }

  static async make(directory: string): Promise<Claim> {
    const claim = new Claim(directory, await ShortPaths.of(directory))
    try {
      await claim.#publish()
    } catch (error) {
      await claim.withdraw()
      throw error
    }
    return claim
  }

  hold(): void {
    this.#answer = `process ${process.pid}`
  }

  /** What the living others say: `claiming`, or who holds. Removes the dead. */
  async others(): Promise<string[]> {
    const answers: string[] = []
    for (const name of await readdir(this.#directory)) {
      if (name === this.#name || !name.startsWith(claimPrefix)) continue
      const answer = await ask(this.#short.to(name))
      if (answer === null) await rm(join(this.#directory, name), { force: true })
      else answers.push(answer)
    }
    return answers
  }

  async withdraw(): Promise<void> {
    await rm(join(this.#directory, this.#name), { force: true })
    const server = this.#server
    this.#server = null
    if (server !== null) await new Promise<void>((resolve) => server.close(() => resolve()))
    await this.#short.close()
  }

  /** The name appears when the socket already answers: nobody can take it for a dead one. */
  async #publish(): Promise<void> {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.end(this.#answer, () => socket.destroy())
    })
    this.#server = server
    const unready = `${unreadyPrefix}${this.#name}`
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ path: this.#short.to(unready), exclusive: true }, resolve)
    })
    server.unref()
    await rename(join(this.#directory, unready), join(this.#directory, this.#name))
  }
}

/** Null when nobody listens any more. */
function ask(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect({ path })
    const settle = (answer: string | null) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(answerTimeoutMs, () => settle('a process that does not answer'))
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1').slice(0, 100)
    })
    socket.on('end', () => settle(text === '' ? 'a process that is ending' : text))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const isDead = error.code === 'ECONNREFUSED' || error.code === 'ENOENT'
      settle(isDead ? null : `a process that answers ${error.code}`)
    })
  })
}

/** Names of the directory short enough for a socket, by way of a descriptor when they are not. */
class ShortPaths {
  readonly #base: string
  readonly #close: () => Promise<void>

  private constructor(base: string, close: () => Promise<void>) {
    this.#base = base
    this.#close = close
  }

  static async of(directory: string): Promise<ShortPaths> {
    const longestName = `${unreadyPrefix}${claimPrefix}0123456789abcdef`
    for (const base of [directory, relative(process.cwd(), directory)]) {
      if (Buffer.byteLength(join(base, longestName)) <= shortPathBytes) {
        return new ShortPaths(base, async () => {})
      }
    }
    const handle = await open(directory)
    return new ShortPaths(`/proc/self/fd/${handle.fd}`, () => handle.close())
  }

  to(name: string): string {
    return join(this.#base, name)
  }

  close(): Promise<void> {
    return this.#close()
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
