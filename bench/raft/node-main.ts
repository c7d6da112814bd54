/** One of our nodes of the bench `raft`, in a process of its own: tells what it did when asked. */
import { ClusterNetworkManager, type ConfigInput } from '../../lib/index.js'
import { sqliteEngine } from '../../lib/sqlite.js'
import { silentLogger } from '../../src/core/index.js'
import { type EngineName, engineNames, keyValueEngine } from './engine.js'
import { MarkingObserver } from './marks.js'

/** Since the process began. */
export interface NodeCounts {
  readonly isLeader: boolean
  readonly writes: number
  readonly entries: number
  readonly syncs: number
}

const [configText = '', engineName = '', marking = ''] = process.argv.slice(2)
const config = JSON.parse(configText) as ConfigInput
const isSqlite = (engineName as EngineName) === engineNames.sqlite
const observer = marking === '' ? undefined : new MarkingObserver()
const manager = ClusterNetworkManager.create({
  config,
  engine: isSqlite ? sqliteEngine() : keyValueEngine,
  overrides: { logger: silentLogger, observer }
})
await manager.start()

process.on('message', (asked) => {
  if (asked === 'marks') {
    process.send?.(observer?.take() ?? [])
    return
  }
  const { consensus = {} } = manager.getAllMetrics()
  const [group] = manager.getClusterView().groups
  const counts: NodeCounts = {
    isLeader: group !== undefined && group.leader === config.node.id,
    writes: consensus.batch_commands ?? 0,
    entries: consensus.proposals ?? 0,
    syncs: consensus.log_syncs ?? 0
  }
  process.send?.(counts)
})
process.on('disconnect', () => process.exit())
