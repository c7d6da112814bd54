/** A node in a process with few file descriptors; its address and its processor time on stdout. */
import { counterEngine } from '../../examples/embed.js'
import { ClusterNetworkManager } from '../../lib/index.js'

const reportIntervalMs = 250
const [dataDirectory = ''] = process.argv.slice(2)

const manager = ClusterNetworkManager.create({
  preset: 'local',
  engine: counterEngine,
  config: {
    node: { id: 'few', listenAddress: '127.0.0.1:0', dataDirectory },
    cluster: { bootstrap: { voters: ['few'] } },
    transport: { handshakeTimeoutMs: 60_000 },
    security: { insecure: true }
  }
})
await manager.start()

const tell = () => {
  const { user, system } = process.cpuUsage()
  const { address } = manager.getClusterView()
  process.stdout.write(`${JSON.stringify({ address, cpuMs: (user + system) / 1_000 })}\n`)
}
tell()
setInterval(tell, reportIntervalMs)
