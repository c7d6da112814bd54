/** a node whose process has no file descriptors left. */
import { execFileSync, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { counterEngine } from '../../examples/embed.js'
import { ClusterNetworkManager } from '../../lib/index.js'
import { until } from '../support/process-cluster.js'

const script = fileURLToPath(new URL('../support/few-descriptors.js', import.meta.url))
const timeoutMs = 20_000
const descriptors = 64

interface Told {
  readonly address: string
  readonly cpuMs: number
}

const skip = process.platform === 'linux' ? false : 'limits are set by prlimit'
const title = 'X-51 without descriptors links live, nothing spins, and it recovers'
t.test(title, { skip }, async (t) => {
  const told: Told[] = []
  const directory = t.testdir()
  const child = spawn(process.execPath, [script, join(directory, 'few')], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  createInterface({ input: child.stdout }).on('line', (line) => {
    told.push(JSON.parse(line))
  })
  await until('the node is up', timeoutMs, async () => told.length > 0)
  const { address } = told[0] as Told
  // Not from the start: to load its modules a process needs more of them.
  execFileSync('prlimit', ['--pid', `${child.pid}`, `--nofile=${descriptors}:${descriptors}`])
  const start = async (id: string): Promise<ClusterNetworkManager> => {
    const manager = ClusterNetworkManager.create({
      preset: 'local',
      engine: counterEngine,
      config: {
        node: { id, listenAddress: '127.0.0.1:0', dataDirectory: join(directory, id) },
        cluster: { seeds: [address] },
        security: { insecure: true }
      }
    })
    t.teardown(() => manager.stop({ drain: false }))
    await manager.start()
    return manager
  }
  const friend = await start('friend')
  const added = await friend.executeQuery('add geese 1', { timeoutMs })
  t.same(added.rows, [[1]])

  const port = Number(address.slice(address.lastIndexOf(':') + 1))
  const held: Socket[] = []
  let refused = 0
  t.teardown(() => {
    for (const socket of held) socket.destroy()
  })
  for (let i = 0; i < 2 * descriptors; i++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => socket.destroy())
    socket.once('close', () => refused++)
    held.push(socket)
  }
  await until('some are turned away', timeoutMs, async () => refused > 0)
  // One that is freed is taken by the next that waits.
  await until('all descriptors are in use', timeoutMs, async () => {
    return readdirSync(`/proc/${child.pid}/fd`).length >= descriptors - 1
  })
  const settled = told.length
  await until('four reports', timeoutMs, async () => told.length >= settled + 5)
  const [from, to] = [told[settled] as Told, told[settled + 4] as Told]
  t.ok(to.cpuMs - from.cpuMs < 700, `${to.cpuMs - from.cpuMs} ms of a second: nothing spins`)
  const still = await friend.executeQuery('add geese 2', { timeoutMs })
  t.same(still.rows, [[3]], 'the link that was there lives')
  t.equal(child.exitCode, null)

  for (const socket of held) socket.destroy()
  const late = await start('late')
  const after = await late.executeQuery('add geese 4', { timeoutMs })
  t.same(after.rows, [[7]], 'who comes afterwards is let in')
})
