import t from 'tap'
import {
  type HealthEvent,
  type Lifecycle,
  Lifecycles,
  type Member,
  type MonotonicMs,
  type NodeId,
  resolveConfig,
  SplittableRandom,
  silentLogger
} from '../../../src/core/index.js'
import { Heartbeats } from '../../../src/health/heartbeats.js'
import { HeartbeatDriver, selfStatusOf } from '../../../src/health/index.js'
import type { Heartbeat } from '../../../src/health/messages.js'
import { memberOf } from '../../support/health-world.js'
import { MemoryNetwork } from '../../support/memory-messenger.js'
import { VirtualClock } from '../../support/virtual-clock.js'

const id = (name: string) => name as NodeId
const at = (ms: number) => ms as MonotonicMs

const beat = (sequence: number, changes: Partial<Heartbeat> = {}): Heartbeat => ({
  bootNumber: 1,
  sequence,
  status: 'healthy',
  lifecycle: 'up',
  loopDelayMs: 0,
  metadata: [],
  ...changes
})

t.test('the newest heartbeat of a boot counts, and any of another boot', async (t) => {
  const heard = new Heartbeats({ timeoutMs: 100, peersMax: 2 })
  t.equal(heard.handleHeard(id('b'), beat(2), at(0)), null, 'the first is no change')
  t.equal(heard.handleHeard(id('b'), beat(1, { status: 'degraded' }), at(1)), null, 'overtaken')
  t.same(heard.handleHeard(id('b'), beat(3, { status: 'degraded' }), at(2)), {
    nodeId: 'b',
    previous: 'healthy',
    status: 'degraded'
  })
  t.match(heard.handleHeard(id('b'), beat(1, { bootNumber: 0 }), at(3)), { status: 'healthy' })
  heard.handleHeard(id('a'), beat(1), at(50))
  t.equal(heard.handleHeard(id('c'), beat(1), at(50)), null)
  t.equal(heard.size, 2, 'beyond the bound nobody is remembered')
  heard.handleMissed(id('a'))
  t.match(heard.statuses(at(104)), [
    { nodeId: 'a', silent: false, ageMs: 54, missedInRow: 1 },
    { nodeId: 'b', silent: true, ageMs: 101, missedInRow: 0 }
  ])
  heard.retain(new Set([id('a')]))
  t.equal(heard.size, 1)
})

t.test('a node that leaves is shutting down, a late one degraded', async (t) => {
  const statusOf = (lifecycle: Lifecycle, delayMs: number) =>
    selfStatusOf({ lifecycle, health: 'healthy', metadata: {} }, delayMs, 100).status
  t.equal(statusOf(Lifecycles.Up, 100), 'healthy')
  t.equal(statusOf(Lifecycles.Up, 101), 'degraded')
  t.equal(statusOf(Lifecycles.Draining, 101), 'shuttingDown')
  t.equal(statusOf(Lifecycles.Left, 0), 'shuttingDown')
})

class HeartbeatWorld {
  readonly clock = new VirtualClock()
  readonly network = new MemoryNetwork(this.clock, 5)
  readonly random = SplittableRandom.fromSeed(7)
  members: Member[] = []

  add(t: { teardown(handler: () => void): void }, name: string) {
    this.members = [...this.members, memberOf(name)]
    const self: { -readonly [Key in 'lifecycle' | 'health' | 'metadata']: Member[Key] } = {
      lifecycle: Lifecycles.Up,
      health: 'healthy',
      metadata: { role: name }
    }
    const events: HealthEvent[] = []
    const config = resolveConfig({
      code: {
        node: { id: 'x', dataDirectory: 'x' },
        cluster: { bootstrap: { voters: ['x'] } },
        security: { insecure: true }
      }
    }).health
    const driver = new HeartbeatDriver(
      {
        clock: this.clock,
        random: this.random.split(name),
        messenger: this.network.join(id(name)),
        logger: silentLogger,
        members: () => this.members,
        self: () => selfStatusOf(self, 0, 250)
      },
      { nodeId: id(name), config }
    )
    driver.onEvent((event) => events.push(event))
    driver.start()
    t.teardown(() => driver.stop())
    return { driver, self, events }
  }
}

t.test('every 30 s each hears how the others are, and at once when one drains', async (t) => {
  const world = new HeartbeatWorld()
  const a = world.add(t, 'a')
  const b = world.add(t, 'b')
  await world.clock.advance(31_000)
  t.match(a.driver.peerStatuses(), [
    { nodeId: 'b', status: 'healthy', lifecycle: 'up', metadata: { role: 'b' }, silent: false }
  ])
  t.ok((a.driver.peerStatuses()[0]?.ageMs ?? 0) <= 30_010)
  t.match(b.driver.peerStatuses(), [{ nodeId: 'a', status: 'healthy' }])
  t.same(a.events, [], 'nothing has changed')
  b.self.lifecycle = Lifecycles.Draining
  b.driver.announce()
  await world.clock.advance(20)
  t.match(a.driver.peerStatuses(), [{ status: 'shuttingDown', lifecycle: 'draining' }])
  t.same(a.events, [
    { type: 'PeerStatusChanged', nodeId: 'b', previous: 'healthy', status: 'shuttingDown' }
  ])
})

t.test('a silent peer is told as silent with what it last said; a gone one is not', async (t) => {
  const world = new HeartbeatWorld()
  const a = world.add(t, 'a')
  world.add(t, 'b')
  await world.clock.advance(31_000)
  world.network.isolate(id('b'))
  await world.clock.advance(125_000)
  t.match(a.driver.peerStatuses(), [{ nodeId: 'b', status: 'healthy', silent: true }])
  t.ok((a.driver.peerStatuses()[0]?.missedInRow ?? 0) >= 2)
  t.ok(a.driver.counters.get('heartbeats_missed') >= 2)
  world.members = world.members.filter(({ nodeId }) => nodeId !== 'b')
  await world.clock.advance(31_000)
  t.same(a.driver.peerStatuses(), [])
})
