/** One node of the bench `groups`, in a process of its own: answers what it uses when asked. */
import { ClusterNetworkManager, type ConfigInput } from '../../lib/index.js'
import { emptyEngine } from './engine.js'

export interface NodeUse {
  /** Groups with a leader that this node knows, and those that sleep here. */
  readonly led: number
  readonly asleep: number
  /** Leaderships won here, and given away for balance. */
  readonly elections: number
  readonly moved: number
  readonly rssBytes: number
  readonly cpuMs: number
  readonly messagesSent: number
  readonly bytesSent: number
  readonly hostBeats: number
}

const config = JSON.parse(process.argv[2] ?? '') as ConfigInput
const manager = ClusterNetworkManager.create({ config, engine: emptyEngine })
await manager.start()

/** `collected`: the memory that is left when nothing is garbage; it takes a while. */
export type NodeQuestion = 'use' | 'collected'

process.on('message', (question: NodeQuestion) => {
  if (question === 'collected') globalThis.gc?.()
  const { communication = {}, consensus = {} } = manager.getAllMetrics()
  const { user, system } = process.cpuUsage()
  const use: NodeUse = {
    led: manager.getClusterView().groups.filter(({ leader }) => leader !== null).length,
    asleep: consensus.groups_asleep ?? 0,
    elections: consensus.leader_elections ?? 0,
    moved: consensus.leaders_moved ?? 0,
    rssBytes: process.memoryUsage().rss,
    cpuMs: (user + system) / 1_000,
    messagesSent: communication.messages_sent ?? 0,
    bytesSent: communication.bytes_sent ?? 0,
    hostBeats: consensus.host_beats ?? 0
  }
  process.send?.(use)
})
process.on('disconnect', () => process.exit())
