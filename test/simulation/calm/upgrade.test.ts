/**
 * Releases of whole simulated nodes: what the release before spoke (cluster version 1) beside what
 * this one speaks (1 and 2), on virtual time, under writes, crashes and power failures.
 */
import t from 'tap'
import { CONTROL_GROUP, type Logger, must, silentLogger } from '../../../src/core/index.js'
import { type ProcessExit, ProcessExits } from '../../../src/simulation/virtual-clock.js'
import { calmCluster } from './calm-cluster.js'

const before = { min: 1, max: 1 }
const now = { min: 1, max: 2 }
const size = 3
const readsPerCall = 50
const hosts = [0, 1, 2]

async function founded(seed: number) {
  const releases = hosts.map(() => before)
  /** What the nodes' rooms told, of any level. */
  const told: string[] = []
  const hear = (facts: object, message: string) =>
    void told.push(`${message} ${JSON.stringify(facts, textOfErrors)}`)
  const logger: Logger = {
    ...silentLogger,
    debug: hear,
    warn: hear,
    error: hear,
    child: () => logger
  }
  const world = calmCluster(
    seed,
    size,
    {},
    { versionsAt: (host) => must(releases[host], 'a release'), loggerOf: () => logger }
  )
  const { cluster, run, settle, time } = world
  const acknowledged = new Map<string, number>()
  let written = 0
  /** Through whoever is ready; a write of which nobody knows what became of it promises nothing. */
  const write = () => {
    const ready = cluster.startedNodes().filter(({ manager }) => manager.healthCheck().ready)
    const node = ready[written % Math.max(1, ready.length)]
    if (node === undefined) return
    const number = ++written
    const key = `k${number % 40}-${number}`
    time.post(time.now, 'write', node.process, () => {
      node.manager.executeQuery(`set ${key} ${number}`).then(
        () => acknowledged.set(key, number),
        () => {}
      )
    })
  }
  const writing = async (ms: number) => {
    for (let at = 0; at < ms; at += 100) {
      write()
      await run(100)
    }
  }
  const nodeAt = (host: number) => must(cluster.nodeAt(host), `a node at ${host}`)
  /** Another release starts on the disk that the process before has left, however it ended. */
  const install = async (host: number, release: typeof before, exit: ProcessExit) => {
    cluster.crash(host, exit)
    await writing(1_000)
    releases[host] = release
    cluster.restart(host)
    await writing(6_000)
  }
  const versions = (host = 0) => settle(nodeAt(host).manager.control.clusterVersion())
  const readAll = async () => {
    const lost: string[] = []
    const all = [...acknowledged]
    for (let from = 0; from < all.length; from += readsPerCall) {
      const some = all.slice(from, from + readsPerCall)
      const gets = some.map(([key]) => ({ sql: `get ${key}` }))
      const results = await settle(nodeAt(0).manager.executeQuery(gets))
      for (const [i, [key, number]] of some.entries()) {
        const found = results[i]?.rows[0]?.[0]
        if (found !== String(number)) lost.push(`${key}: ${found}`)
      }
    }
    return lost
  }
  cluster.start()
  await run(10_000)
  return { ...world, nodeAt, install, writing, versions, readAll, acknowledged, told }
}

const textOfErrors = (_: string, value: unknown) =>
  value instanceof Error ? `${(value as { code?: string }).code} ${value.message}` : value

/** In turn: told to stop by nobody, both ways. */
const exits = [ProcessExits.Killed, ProcessExits.Power]

t.test('D-12 L-08 rolled forward, back, forward again and finalized, under writes', async (t) => {
  const { install, writing, versions, settle, nodeAt, readAll, acknowledged } = await founded(3)
  const [first, second, third] = hosts as [number, number, number]
  for (const [i, host] of [first, second].entries()) {
    await install(host, now, exits[i] ?? ProcessExits.Killed)
    const { clusterVersion, nodes } = await versions()
    t.equal(clusterVersion, 1)
    t.equal(nodes.filter(({ max }) => max === 2).length, i + 1)
    t.ok(
      nodes.every(({ runtime }) => runtime === null),
      'what only the new release knows is not used'
    )
  }
  await t.rejects(settle(nodeAt(first).manager.control.finalizeVersion({ to: 2 })), {
    code: 'ERR_SKEIN_CHANGE_REFUSED',
    details: { reason: 'olderMembers', nodes: [nodeAt(third).manager.nodeId] }
  })
  for (const host of [second, first]) await install(host, before, ProcessExits.Power)
  t.match(await versions(), { clusterVersion: 1, highestCommon: 1 }, 'rolled back')
  t.same(await readAll(), [], 'the release before reads what was written meanwhile')
  for (const host of hosts) await install(host, now, exits[host % 2] ?? ProcessExits.Killed)
  t.match(await versions(), { clusterVersion: 1, highestCommon: 2 })
  const finalized = await settle(nodeAt(second).manager.control.finalizeVersion())
  t.match(finalized, { clusterVersion: 2, minVersion: 1 })
  await writing(40_000)
  const { nodes } = await versions()
  t.same(
    nodes.map(({ runtime }) => runtime?.startsWith('Node.js ')),
    [true, true, true],
    'and is used from then on'
  )
  t.same(await readAll(), [])
  t.ok(acknowledged.size > 300, `${acknowledged.size} writes`)
})

t.test('D-12 L-08 after finalizing the release before is refused, by name', async (t) => {
  const { install, writing, settle, nodeAt, versions, readAll, told } = await founded(4)
  for (const host of hosts) await install(host, now, ProcessExits.Killed)
  await settle(nodeAt(0).manager.control.finalizeVersion())
  await writing(40_000)
  told.length = 0
  await install(2, before, ProcessExits.Killed)
  await writing(10_000)
  const old = nodeAt(2).manager
  const refusal = /ERR_SKEIN_HANDSHAKE_REFUSED.*cluster version: 2 here, 1 to 1 spoken there/
  t.ok(
    told.some((line) => refusal.test(line)),
    'members do not take it in, and say why'
  )
  const control = old.getClusterView().groups.find(({ group }) => group === CONTROL_GROUP)
  t.equal(control?.failed, 'ERR_SKEIN_ENGINE_FAILED', 'nor does its replica go on')
  await install(2, now, ProcessExits.Killed)
  t.match(await versions(2), { clusterVersion: 2 }, 'the present release comes back')
  t.same(await readAll(), [])
})
