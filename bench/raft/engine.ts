import { createHash } from 'node:crypto'
import {
  type Command,
  type Engine,
  type EngineProvider,
  StatementKinds,
  toLogIndex
} from '../../lib/index.js'

export const engineNames = { keyValue: 'key-value', sqlite: 'sqlite' } as const
export type EngineName = (typeof engineNames)[keyof typeof engineNames]

/** `put`, with a key and a value: all that the engine takes. */
export const putText = 'put'

const keyLengthBytes = 2
const result = { columns: [], rows: [], rowsAffected: 1, lastInsertRowid: null }

/**
 * Keys and values in the memory of this thread, as small as an engine can be: what is durable is
 * the group's log, which is read again from the beginning at a start.
 */
class KeyValueEngine implements Engine {
  readonly #values = new Map<string, Uint8Array>()
  readonly #system = new Map<string, Uint8Array>()
  #index = toLogIndex(0)

  open = async () => ({ appliedIndex: this.#index, durableIndex: this.#index })
  version = () => 1
  capabilities = () => ({
    name: 'key-value',
    language: 'put',
    interactiveTransactions: false,
    snapshots: false
  })
  plan: Engine['plan'] = async ({ statements }) => ({
    kind: 'planned',
    command: { tag: putText, bytes: encode(statements[0]?.params) },
    results: [result]
  })
  apply: Engine['apply'] = async (commands, writes, index) => {
    for (const command of commands) this.#put(command)
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
  checksum = async () => ({ index: this.#index, hash: this.#hash() })
  close = async () => {}

  #put({ bytes }: Command): void {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const valueAt = keyLengthBytes + view.readUInt16LE(0)
    // A copy: the command may be a part of a larger buffer.
    this.#values.set(view.toString('latin1', keyLengthBytes, valueAt), bytes.slice(valueAt))
  }

  #hash(): string {
    const hash = createHash('sha256')
    for (const [key, value] of [...this.#values].sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(key).update(value)
    }
    return hash.digest('hex')
  }
}

function encode(params: unknown): Uint8Array {
  const [key, value] = params as readonly [string, Uint8Array]
  const bytes = Buffer.alloc(keyLengthBytes + key.length + value.length)
  bytes.writeUInt16LE(key.length, 0)
  bytes.write(key, keyLengthBytes, 'latin1')
  bytes.set(value, keyLengthBytes + key.length)
  return bytes
}

export const keyValueEngine: EngineProvider = {
  create: () => new KeyValueEngine(),
  classify: () => StatementKinds.Write
}
