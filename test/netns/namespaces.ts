/** Hosts of a test's own on one machine: network namespaces on a bridge, with nft between them. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Why the machine does not let us; null: it does. */
export async function namespacesRefused(): Promise<string | null> {
  const name = `sk${process.pid}probe`
  try {
    await run('ip', ['netns', 'add', name])
    try {
      await run('ip', ['netns', 'exec', name, 'nft', 'add', 'table', 'inet', 'probe'])
    } finally {
      await run('ip', ['netns', 'del', name])
    }
    return null
  } catch (error) {
    return (error as Error).message.split('\n')[0] ?? 'not permitted'
  }
}

/** A bridge with hosts on it; `of` is the host's number, from 1. */
export class Namespaces {
  readonly #tag: string
  readonly #subnet: string
  readonly #count: number

  private constructor(count: number) {
    this.#tag = `sk${process.pid}`
    this.#subnet = `10.${200 + (process.pid % 50)}.${process.pid % 250}`
    this.#count = count
  }

  static async create(count: number): Promise<Namespaces> {
    const namespaces = new Namespaces(count)
    try {
      await namespaces.#build()
    } catch (error) {
      await namespaces.remove()
      throw error
    }
    return namespaces
  }

  addressOf(host: number): string {
    return `${this.#subnet}.${host}`
  }

  /** A command line that runs in the host. */
  within(host: number, command: string, args: readonly string[]): [string, string[]] {
    return ['ip', ['netns', 'exec', this.#nameOf(host), command, ...args]]
  }

  /** So much of what other hosts send to this one is lost. */
  lose(host: number, percent: number): Promise<void> {
    return this.#rule(host, [...this.#others, 'numgen', 'random', 'mod', '100', '<', `${percent}`])
  }

  /** Nothing that `from` sends arrives at `to`. */
  cut(from: number, to: number): Promise<void> {
    return this.#rule(to, ['ip', 'saddr', this.addressOf(from)])
  }

  /** Datagrams that `from` sends do not arrive at `to`, or only those of up to so many bytes. */
  cutDatagrams(from: number, to: number, sizeBytesMax = 0): Promise<void> {
    const longer = ['udp', 'length', '>', `${sizeBytesMax}`]
    return this.#rule(to, ['ip', 'saddr', this.addressOf(from), ...longer])
  }

  async cutBoth(a: number, b: number): Promise<void> {
    await this.cut(a, b)
    await this.cut(b, a)
  }

  async heal(): Promise<void> {
    for (const host of this.#hosts) await this.#nft(host, ['flush', 'chain', 'inet', 'sk', 'in'])
  }

  async remove(): Promise<void> {
    for (const host of this.#hosts) {
      await run('ip', ['netns', 'del', this.#nameOf(host)]).catch(() => {})
    }
    await run('ip', ['link', 'del', this.#tag]).catch(() => {})
  }

  get #hosts(): number[] {
    return Array.from({ length: this.#count }, (_, i) => i + 1)
  }

  /** The test itself, outside of every host, is always let through. */
  get #others(): string[] {
    return ['ip', 'saddr', '!=', this.addressOf(254)]
  }

  async #build(): Promise<void> {
    await run('ip', ['link', 'add', this.#tag, 'type', 'bridge'])
    await run('ip', ['addr', 'add', `${this.addressOf(254)}/24`, 'dev', this.#tag])
    await run('ip', ['link', 'set', this.#tag, 'up'])
    for (const host of this.#hosts) await this.#addHost(host)
  }

  async #addHost(host: number): Promise<void> {
    const name = this.#nameOf(host)
    const [outside, inside] = [`${this.#tag}v${host}`, `${this.#tag}e${host}`]
    await run('ip', ['netns', 'add', name])
    await run('ip', ['link', 'add', outside, 'type', 'veth', 'peer', 'name', inside])
    await run('ip', ['link', 'set', inside, 'netns', name])
    await run('ip', ['link', 'set', outside, 'master', this.#tag, 'up'])
    const ip = (...args: string[]) => run('ip', ['-n', name, ...args])
    await ip('addr', 'add', `${this.addressOf(host)}/24`, 'dev', inside)
    await ip('link', 'set', inside, 'up')
    await ip('link', 'set', 'lo', 'up')
    await this.#nft(host, ['add', 'table', 'inet', 'sk'])
    await this.#nft(host, ['add', 'chain', 'inet', 'sk', 'in', inputHook])
  }

  #rule(host: number, match: readonly string[]): Promise<void> {
    return this.#nft(host, ['add', 'rule', 'inet', 'sk', 'in', ...match, 'drop'])
  }

  async #nft(host: number, args: readonly string[]): Promise<void> {
    await run('ip', ['netns', 'exec', this.#nameOf(host), 'nft', ...args])
  }

  #nameOf(host: number): string {
    return `${this.#tag}n${host}`
  }
}

const inputHook = '{ type filter hook input priority 0; }'
