/**
 * A database of our own, replicated: counters that can be added to and read. The engine below is
 * all that an embedder writes; `runThreeNodes` makes a cluster of it in this process.
 */
import {
  ClusterNetworkManager,
  type Engine,
  type EngineProvider,
  type StatementResult,
  toLogIndex
} from '../lib/index.js'

const answer = (value: number): StatementResult => ({
  columns: ['value'],
  rows: [[value]],
  rowsAffected: 0,
  lastInsertRowid: null
})

/**
 * Statements: `add NAME AMOUNT` and `get NAME`. Keeps nothing: the log fills it again at a restart.
 */
class CounterEngine implements Engine {
  #counters = new Map<string, number>()
  /** The counters as the planned commands leave them; nobody reads it but the next plan. */
  #planned = new Map<string, number>()
  readonly #system = new Map<string, Uint8Array>()
  #index = toLogIndex(0)

  open = async () => ({ appliedIndex: this.#index, durableIndex: this.#index })
  version = () => 1
  capabilities = () => ({
    name: 'counters',
    language: 'counters',
    interactiveTransactions: false,
    snapshots: false
  })
  plan: Engine['plan'] = async ({ statements }) => {
    const results = statements.map(({ sql }) => answer(add(this.#planned, sql)))
    const bytes = new TextEncoder().encode(statements.map(({ sql }) => sql).join('\n'))
    return { kind: 'planned', command: { tag: 'counters', bytes }, results }
  }
  apply: Engine['apply'] = async (commands, writes, index) => {
    for (const { bytes } of commands) {
      for (const sql of new TextDecoder().decode(bytes).split('\n')) add(this.#counters, sql)
    }
    for (const { key, value } of writes) {
      if (value === null) this.#system.delete(key)
      else this.#system.set(key, value)
    }
    this.#planned = new Map(this.#counters)
    this.#index = index
  }
  discard = async () => {
    this.#planned = new Map(this.#counters)
  }
  read: Engine['read'] = async (statements) => {
    const read = (sql: string) => answer(this.#counters.get(sql.split(' ')[1] ?? '') ?? 0)
    return { kind: 'rows', index: this.#index, results: statements.map(({ sql }) => read(sql)) }
  }
  readSystem: Engine['readSystem'] = async (prefix) => {
    const found = [...this.#system].filter(([key]) => key.startsWith(prefix)).sort()
    return found.map(([key, value]) => ({ key, value }))
  }
  flush = async () => toLogIndex(0)
  checksum = async () => ({ index: this.#index, hash: String([...this.#counters].sort()) })
  close = async () => {}
}

function add(counters: Map<string, number>, sql: string): number {
  const [, name = '', amount] = sql.split(' ')
  const value = (counters.get(name) ?? 0) + Number(amount)
  counters.set(name, value)
  return value
}

export const counterEngine: EngineProvider = {
  create: () => new CounterEngine(),
  classify: (sql) => (sql.startsWith('get ') ? 'read' : 'write')
}

/**
 * Founds a cluster of three nodes below `directory`; for a test on one machine, hence `insecure`.
 */
export async function runThreeNodes(directory: string): Promise<ClusterNetworkManager[]> {
  const voters = ['goose-1', 'goose-2', 'goose-3']
  const managers: ClusterNetworkManager[] = []
  for (const id of voters) {
    const seeds = managers.map((manager) => manager.getClusterView().address)
    const manager = ClusterNetworkManager.create({
      preset: 'local',
      engine: counterEngine,
      config: {
        node: { id, listenAddress: '127.0.0.1:0', dataDirectory: `${directory}/${id}` },
        cluster: { seeds, bootstrap: { voters } },
        security: { insecure: true }
      }
    })
    await manager.start()
    managers.push(manager)
  }
  return managers
}
