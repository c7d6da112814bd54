import { type Command, type Engine, toLogIndex } from '../lib/index.js'

/** What a bench's engine does with commands; the rest is `MemoryEngine`'s. */
export interface Content extends Pick<Engine, 'plan'> {
  readonly name: string
  readonly language: string
  apply(command: Command): void
  hash(): string
}

/**
 * In the memory of this thread, as small as an engine can be: what is durable is the group's log,
 * which is read again from the beginning at a start.
 */
export class MemoryEngine implements Engine {
  readonly plan: Engine['plan']
  readonly #content: Content
  readonly #system = new Map<string, Uint8Array>()
  #index = toLogIndex(0)

  constructor(content: Content) {
    this.#content = content
    this.plan = content.plan
  }

  open = async () => ({ appliedIndex: this.#index, durableIndex: this.#index })
  version = () => 1
  capabilities = () => ({
    name: this.#content.name,
    language: this.#content.language,
    interactiveTransactions: false,
    snapshots: false
  })
  apply: Engine['apply'] = async (commands, writes, index) => {
    for (const command of commands) this.#content.apply(command)
    for (const { key, value } of writes) {
      if (value === null) this.#system.delete(key)
      else this.#system.set(key, value)
    }
    this.#index = index
  }
  discard = async () => {}
  read: Engine['read'] = async () => ({ kind: 'rows', index: this.#index, results: [] })
  readSystem: Engine['readSystem'] = async (prefix) => {
    const found = [...this.#system].filter(([key]) => key.startsWith(prefix)).sort()
    return found.map(([key, value]) => ({ key, value }))
  }
  flush = async () => toLogIndex(0)
  checksum = async () => ({ index: this.#index, hash: this.#content.hash() })
  close = async () => {}
}
