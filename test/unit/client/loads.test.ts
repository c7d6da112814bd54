import { fileURLToPath } from 'node:url'
import t from 'tap'
import { loadTree, referencesOf, roomOf } from '../../tidy/source-tree.js'

t.test(
  'skein/client loads no consensus, engine, admin server, or what else a node is',
  async (t) => {
    const root = fileURLToPath(new URL('../../../../', import.meta.url))
    const tree = loadTree(root, ['lib', 'src'])
    const reached = new Set<string>()
    const visit = (path: string) => {
      const file = tree.get(path)
      if (file === undefined || reached.has(path)) return
      reached.add(path)
      for (const { target, typeOnly, isImport } of referencesOf(file, tree)) {
        if (target !== null && !typeOnly && isImport) visit(target)
      }
    }
    visit('lib/client.ts')
    t.ok(reached.has('src/client/client-driver.ts'))
    const rooms = new Set([...reached].map(roomOf))
    t.same([...rooms].sort(), ['client', 'core', 'lib', 'network', 'routing', 'runtime', 'wire'])
  }
)
