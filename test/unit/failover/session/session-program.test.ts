/** A program's end of its session, against nodes with their drivers. */
import t from 'tap'
import type { ClientEventBody } from '../../../../src/client/events.js'
import { SqlSession } from '../../../../src/client/index.js'
import { KnownCluster } from '../../../../src/client/known-cluster.js'
import { SessionMovedError } from '../../../../src/core/errors.js'
import type { LogIndex, NodeId } from '../../../../src/core/ids.js'
import { Lifecycles, silentLogger } from '../../../../src/core/index.js'
import type { QueryResult } from '../../../../src/core/queries.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { sessionKeptMs } from '../../../../src/failover/session/session-record.js'
import type { QueryHome } from '../../../../src/routing/index.js'
import { testCrypto } from '../../../support/test-crypto.js'
import { a, b, seen } from './home-group.js'
import { SessionsWorld } from './sessions-world.js'

function programOf(world: SessionsWorld) {
  const events: ClientEventBody[] = []
  const homes: QueryHome[] = []
  const random = SplittableRandom.fromSeed(3)
  const cluster = new KnownCluster()
  const learn = () => {
    const members = [...world.lifecycles].map(([nodeId, lifecycle]) => ({
      nodeId,
      address: 'x:1',
      liveness: 'alive' as const,
      lifecycle,
      health: 'healthy' as const,
      datacenter: '',
      rack: ''
    }))
    const told = { node: a, revision: 1, clusterId: null, version: '', members, groups: [] }
    cluster.learn(told, world.clock.now())
  }
  learn()
  const open = (settings = {}) =>
    world.settle(
      SqlSession.open(
        {
          clock: world.clock,
          random,
          crypto: testCrypto(random.split('tokens')),
          messenger: world.network.nodes.get('client:app' as NodeId) ?? world.join(),
          logger: silentLogger,
          cluster,
          timeoutMs: 5_000,
          execute: async (_, __, home) => {
            homes.push(home)
            const result = { columns: [], rows: [], rowsAffected: 1, lastInsertRowid: 7 }
            const at = { group: seen(0).group, index: 40 as LogIndex, node: a }
            return [{ ...result, ...at }] as QueryResult[]
          },
          onEvent: (event) => events.push(event),
          onClosed: () => {}
        },
        { settings }
      )
    )
  return { open, learn, events, homes }
}

const homeOf = (homes: readonly QueryHome[]): QueryHome => homes.at(-1) as QueryHome

t.test('a lost home is left for another node, and everything is still there', async (t) => {
  const world = new SessionsWorld(['a', 'b'])
  world.lifecycles.set(b, Lifecycles.Draining)
  const { open, learn, events, homes } = programOf(world)
  const session = await open({ priority: 'high' })
  t.equal(session.home, a)
  await world.settle(session.prepare('q', 'SELECT 1'))
  await session.run('q')
  const home = homeOf(homes)
  world.lifecycles.set(b, Lifecycles.Up)
  learn()
  world.network.leave(a)
  const before = home.generation()
  const found = home.found()
  t.equal(home.node(), null, 'nothing is sent meanwhile')
  await world.settle(found)
  t.equal(home.node(), b)
  t.ok(home.generation() > before, 'what was asked before does not count')
  t.same([session.settings, session.prepared], [{ priority: 'high' }, ['q']])
  t.equal(session.lastInsertRowid, 7)
  t.same(world.group.state.sessions[0]?.seen, [seen(40)], 'told by the program')
  t.match(events, [{ type: 'SessionHomeChanged', kind: 'reattached', from: a, to: b }])
  world.stop()
})

t.test('an answer that is lost is asked for again, with the same token', async (t) => {
  const world = new SessionsWorld(['a', 'b'])
  const { open, homes } = programOf(world)
  const session = await open()
  await session.query('SELECT 1')
  const home = session.home as NodeId
  world.network.leave(home)
  world.doubts.push('attach')
  await world.settle(homeOf(homes).found())
  t.match(session.counts, { reattachments: 1 })
  t.match(world.group.state.sessions[0], { home: home === a ? b : a })
  t.match(world.group.state, { reattached: 1 }, 'one call, however often it was made')
  world.stop()
})

t.test('it follows where it is told to, and stays with a home that is only slow', async (t) => {
  const world = new SessionsWorld(['a', 'b'])
  const { open, homes, events } = programOf(world)
  const session = await open()
  await session.query('SELECT 1')
  const from = session.home as NodeId
  const to = from === a ? b : a
  const home = homeOf(homes)
  await world.settle(home.found())
  t.equal(session.home, from)
  const { mover } = world.of(from)
  const deadline = (world.clock.now() + 5_000) as ReturnType<typeof world.clock.now>
  const order = { target: to, reason: 'requested' as const, deadline }
  t.match(await world.settle(mover.move(session.id, order)), { outcome: 'moved' })
  home.handleFailure(to, new SessionMovedError('not its home', { nodeId: from }))
  t.equal(session.home, from, 'who was not asked says nothing')
  home.handleFailure(from, new SessionMovedError('it moved', { nodeId: to }))
  t.equal(home.node(), to)
  t.match(session.counts, { moves: 1, reattachments: 0 })
  t.match(events, [{ kind: 'followed', from, to }])
  await world.clock.advance(60_000)
  t.equal(session.home, to)
  t.match(world.group.state.sessions, [{ state: 'attached' }], 'spoken for though it is not used')
  world.stop()
})

for (const nodes of [
  ['a', 'b', 'c'],
  ['a', 'b']
])
  t.test(`moved unheard it is followed though its former home is gone: ${nodes}`, async (t) => {
    const world = new SessionsWorld(nodes)
    const { open, homes, events } = programOf(world)
    const session = await open()
    await session.query('SELECT 1')
    const from = session.home as NodeId
    const to = from === b ? a : b
    const deadline = (world.clock.now() + 5_000) as ReturnType<typeof world.clock.now>
    const order = { target: to, reason: 'requested' as const, deadline }
    await world.settle(world.of(from).mover.move(session.id, order))
    world.network.leave(from)
    await world.settle(homeOf(homes).found())
    t.equal(session.home, to)
    t.match(session.counts, { moves: 1, reattachments: 0 })
    t.match(world.group.state, { moved: 1, reattached: 0 })
    t.match(events, [{ kind: 'followed', from, to }])
    if (nodes.length > 2) {
      world.network.leave(to)
      await world.settle(homeOf(homes).found())
      t.match(session.counts, { moves: 1, reattachments: 1 }, 'of a lost home it is taken over')
    }
    world.stop()
  })

t.test('M-02 one that has ended says so, and no other is opened in its place', async (t) => {
  const world = new SessionsWorld(['a', 'b'])
  const { open, homes } = programOf(world)
  const session = await open()
  await session.query('SELECT 1')
  await world.settle(world.of(a).close(session.id))
  const home = homeOf(homes)
  await world.settle(home.found())
  t.match(home.fault(), { code: 'ERR_SKEIN_SESSION_ENDED' })
  await t.rejects(world.settle(session.prepare('q', 'SELECT 1')), {
    code: 'ERR_SKEIN_SESSION_ENDED'
  })
  t.same(world.group.state.sessions, [])

  const lost = await open()
  await lost.query('SELECT 1')
  for (const node of [a, b]) world.network.isolate(node)
  const seeking = homeOf(homes).found()
  await world.clock.advance(sessionKeptMs + 60_000)
  await world.settle(seeking)
  t.match(homeOf(homes).fault(), { code: 'ERR_SKEIN_SESSION_ENDED' })
  world.stop()
})

t.test('a closed session is over at both ends', async (t) => {
  const world = new SessionsWorld(['a'])
  const { open, homes } = programOf(world)
  const session = await open()
  await session.query('SELECT 1')
  await world.settle(session.close())
  t.match(world.group.state, { sessions: [], closed: 1 })
  t.match(homeOf(homes).fault(), { code: 'ERR_SKEIN_SESSION_ENDED' })
  await world.settle(session.close())
  await world.clock.advance(11_000)
  t.equal(world.clock.pending, 0)
  world.stop()
})
