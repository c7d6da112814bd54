import { type EngineProvider, StatementKinds } from '../../lib/index.js'
import { type Content, MemoryEngine } from '../memory-engine.js'

/** Nothing but what the group keeps in its engine: what is left is the cost of a group itself. */
const nothing: Content = {
  name: 'empty',
  language: 'none',
  plan: async () => ({
    kind: 'planned',
    command: { tag: 'empty', bytes: new Uint8Array() },
    results: [{ columns: [], rows: [], rowsAffected: 0, lastInsertRowid: null }]
  }),
  apply: () => {},
  hash: () => ''
}

export const emptyEngine: EngineProvider = {
  create: () => new MemoryEngine(nothing),
  classify: () => StatementKinds.Write
}
