import { type Engine, type EngineProvider, StatementKinds, toLogIndex } from '../../lib/index.js'

/** Holds nothing but what the group keeps in it: what is left is the cost of a group itself. */
class EmptyEngine implements Engine {
  readonly #system = new Map<string, Uint8Array>()
  #index = toLogIndex(0)

  open = async () => ({ appliedIndex: this.#index, durableIndex: this.#index })
  version = () => 1
  capabilities = () => ({
    name: 'empty',
    language: 'none',
    interactiveTransactions: false,
    snapshots: false
  })
  plan: Engine['plan'] = async () => ({
    kind: 'planned',
    command: { tag: 'empty', bytes: new Uint8Array() },
    results: [{ columns: [], rows: [], rowsAffected: 0, lastInsertRowid: null }]
  })
  apply: Engine['apply'] = async (_commands, writes, index) => {
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
  checksum = async () => ({ index: this.#index, hash: '' })
  close = async () => {}
}

export const emptyEngine: EngineProvider = {
  create: () => new EmptyEngine(),
  classify: () => StatementKinds.Write
}
