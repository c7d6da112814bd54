/** Three managers in this process, over real sockets: starting, stopping, and starting again. */
import t, { type Test } from 'tap'
import { counterEngine } from '../../examples/embed.js'
import { ClusterNetworkManager } from '../../lib/index.js'
import { until } from '../support/process-cluster.js'

const timeoutMs = 20_000
const voters = ['goose-1', 'goose-2', 'goose-3']

interface Flock {
  start(id: string): Promise<ClusterNetworkManager>
  readonly running: ReadonlyMap<string, ClusterNetworkManager>
}

function makeFlock(t: Test): Flock {
  const directory = t.testdir()
  const running = new Map<string, ClusterNetworkManager>()
  t.teardown(async () => {
    for (const manager of running.values()) await manager.stop({ drain: false })
  })
  return {
    running,
    async start(id) {
      const others = [...running].filter(([other]) => other !== id)
      const manager = ClusterNetworkManager.create({
        preset: 'local',
        engine: counterEngine,
        config: {
          node: { id, listenAddress: '127.0.0.1:0', dataDirectory: `${directory}/${id}` },
          cluster: {
            seeds: others.map(([, other]) => other.getClusterView().address),
            bootstrap: { voters }
          },
          security: { insecure: true }
        }
      })
      await manager.start()
      running.set(id, manager)
      return manager
    }
  }
}

async function startAll(flock: Flock): Promise<ClusterNetworkManager[]> {
  const managers: ClusterNetworkManager[] = []
  for (const id of voters) managers.push(await flock.start(id))
  return managers
}

function leaderOf(managers: readonly ClusterNetworkManager[]): ClusterNetworkManager {
  const leader = managers.find((manager) =>
    manager.getClusterView().groups.some(({ group, role }) => group === 0 && role === 'leader')
  )
  if (leader === undefined) throw new Error('nobody leads')
  return leader
}

t.test(
  'R-M14 the leader stops, hands over, and returns at another address as the same voter',
  async (t) => {
    const flock = makeFlock(t)
    const managers = await startAll(flock)
    const [any] = managers as [ClusterNetworkManager]
    await any.executeQuery('add geese 1', { timeoutMs })
    const leader = leaderOf(managers)
    const rest = managers.filter((manager) => manager !== leader) as [ClusterNetworkManager]
    const { address } = leader.getClusterView()
    const events = rest[0].subscribeToEvents()
    await leader.stop()
    await rest[0].executeQuery('add geese 2', { timeoutMs })
    const left = await firstOf(events, 'MemberLeft')
    t.equal(left.member.nodeId, leader.nodeId, 'the others know that it left, and did not die')

    const back = await flock.start(leader.nodeId)
    const read = await back.executeQuery('get geese', { timeoutMs })
    t.same(read.rows, [[3]])
    t.not(back.getClusterView().address, address)
    await rest[0].executeQuery('add geese 4', { timeoutMs })
    await until('it votes and has what was written since', timeoutMs, async () => {
      const [group] = back.getClusterView().groups
      const [other] = rest[0].getClusterView().groups
      return group?.voters.join() === voters.join() && group.appliedIndex === other?.appliedIndex
    })
    const known = rest[0].getClusterMembers().find(({ nodeId }) => nodeId === back.nodeId)
    t.equal(known?.address, back.getClusterView().address, 'the others know where it is now')
    await t.rejects(leader.executeQuery('get geese'), { code: 'ERR_SKEIN_STOPPED' })
  }
)

t.test(
  'without a majority nothing is acknowledged, and what was is there afterwards',
  async (t) => {
    const flock = makeFlock(t)
    const [first, second, third] = (await startAll(flock)) as [
      ClusterNetworkManager,
      ClusterNetworkManager,
      ClusterNetworkManager
    ]
    await first.executeQuery('add geese 5', { timeoutMs })
    await second.stop({ drain: false })
    await third.stop({ drain: false })
    await t.rejects(first.executeQuery('add geese 1', { timeoutMs: 1_500 }), {
      code: /ERR_SKEIN_(INDETERMINATE|TIMEOUT|NO_LEADER|NO_QUORUM|NOT_LEADER)/
    })
    await until('it says that it is not ready', timeoutMs, async () => !first.healthCheck().ready)
    t.match(first.healthCheck().checks, [{}, {}, {}, { name: 'leader', ok: false }])
    await flock.start('goose-2')
    const read = await first.executeQuery('get geese', { timeoutMs })
    t.ok(
      read.rows[0]?.[0] === 5 || read.rows[0]?.[0] === 6,
      'the doubtful one happened once or not'
    )
  }
)

t.test(
  'X-48 a second process on the directory, and a directory of another node, are refused',
  async (t) => {
    const directory = t.testdir()
    const create = (id: string, path: string) =>
      ClusterNetworkManager.create({
        preset: 'local',
        engine: counterEngine,
        config: {
          node: { id, listenAddress: '127.0.0.1:0', dataDirectory: `${directory}/${path}` },
          cluster: { bootstrap: { voters: [id] } },
          security: { insecure: true }
        }
      })
    const alone = create('alone', 'a')
    t.teardown(() => alone.stop({ drain: false }))
    await alone.start()
    await alone.executeQuery('add geese 1', { timeoutMs })
    await t.rejects(create('alone', 'a').start(), { code: 'ERR_SKEIN_DATA_DIRECTORY_IN_USE' })
    await alone.stop()
    await t.rejects(create('other', 'a').start(), { code: 'ERR_SKEIN_DATA_DIRECTORY_FOREIGN' })
  }
)

async function firstOf<T extends 'MemberLeft'>(
  events: ReturnType<ClusterNetworkManager['subscribeToEvents']>,
  type: T
) {
  for await (const event of events) if (event.type === type) return event
  throw new Error(`the events ended without ${type}`)
}
