import { createHash } from 'node:crypto'
import { type Command, type EngineProvider, StatementKinds } from '../../lib/index.js'
import { type Content, MemoryEngine } from '../memory-engine.js'

export const engineNames = { keyValue: 'key-value', sqlite: 'sqlite' } as const
export type EngineName = (typeof engineNames)[keyof typeof engineNames]

/** `put`, with a key and a value: all that the engine takes. */
export const putText = 'put'

const keyLengthBytes = 2
const result = { columns: [], rows: [], rowsAffected: 1, lastInsertRowid: null }

/** Keys and values in a map. */
class KeyValues implements Content {
  readonly name = 'key-value'
  readonly language = 'put'
  readonly #values = new Map<string, Uint8Array>()

  plan: Content['plan'] = async ({ statements }) => ({
    kind: 'planned',
    command: { tag: putText, bytes: encode(statements[0]?.params) },
    results: [result]
  })

  apply({ bytes }: Command): void {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const valueAt = keyLengthBytes + view.readUInt16LE(0)
    // A copy: the command may be a part of a larger buffer.
    this.#values.set(view.toString('latin1', keyLengthBytes, valueAt), bytes.slice(valueAt))
  }

  hash(): string {
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
  create: () => new MemoryEngine(new KeyValues()),
  classify: () => StatementKinds.Write
}
