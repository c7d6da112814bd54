import t from 'tap'
import { KnownCluster } from '../../../src/client/known-cluster.js'
import { LastIndexes } from '../../../src/client/last-indexes.js'
import { RequestWindow } from '../../../src/client/request-window-driver.js'
import { uuidV7 } from '../../../src/client/uuid.js'
import {
  after,
  type GroupId,
  type LogIndex,
  type MonotonicMs,
  type NodeId,
  SplittableRandom,
  type WallMs
} from '../../../src/core/index.js'
import type { ClusterAnswer } from '../../../src/routing/index.js'
import { VirtualClock } from '../../support/virtual-clock.js'

t.test('client ids are UUIDs of version 7, in the order of their time', async (t) => {
  const random = SplittableRandom.fromSeed(1)
  const bytes = () => Uint8Array.from({ length: 10 }, () => random.nextInt(256))
  const ids = [1, 2, 255, 65_536, 1_700_000_000_000, 2 ** 48 - 1].map((at) =>
    uuidV7(at as WallMs, bytes())
  )
  for (const id of ids) t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-/)
  t.same([...ids].sort(), ids)
  t.equal(
    uuidV7(
      0x017f22e279b0 as WallMs,
      Uint8Array.of(0xc, 0xc3, 0x18, 0xc4, 0xdc, 0xc, 0xc, 7, 0x39, 0x8f)
    ),
    '017f22e2-79b0-7cc3-98c4-dc0c0c07398f',
    'the example of RFC 9562, appendix A.6'
  )
})

const limits = { requestsInFlightMax: 2, queueLengthMax: 2 }

function windowWorld() {
  const clock = new VirtualClock()
  const window = new RequestWindow(clock, limits)
  const ended: string[] = []
  const running = new Map<string, () => void>()
  const begin = (name: string, ms = 1_000, signal?: AbortSignal) => {
    const until = { deadline: after(clock.now(), ms), signal }
    const run = () => new Promise<void>((resolve) => running.set(name, resolve))
    window.run(until, run).then(
      () => ended.push(name),
      (error: { code: string }) => ended.push(`${name} ${error.code}`)
    )
  }
  const end = (name: string) => running.get(name)?.()
  return { clock, window, ended, running, begin, end }
}

t.test('so many are on the way, so many wait in order, one more is refused', async (t) => {
  const { clock, window, ended, running, begin, end } = windowWorld()
  for (const name of ['a', 'b', 'c', 'd', 'e']) begin(name)
  await clock.advance(1)
  t.same([...running.keys()], ['a', 'b'])
  t.same(ended, ['e ERR_SKEIN_BACKPRESSURE'])
  t.same([window.inFlight, window.queued], [2, 2])
  end('b')
  await clock.advance(1)
  t.same([...running.keys()], ['a', 'b', 'c'], 'first come, first served')
  for (const name of ['a', 'c']) end(name)
  await clock.advance(1)
  end('d')
  await clock.advance(1)
  t.same(ended.slice(1).sort(), ['a', 'b', 'c', 'd'])
  t.same([window.inFlight, window.queued, clock.pending], [0, 0, 0])
})

t.test('nobody waits beyond its deadline, its signal, or the end', async (t) => {
  const { clock, window, ended, running, begin } = windowWorld()
  const controller = new AbortController()
  begin('a')
  begin('b')
  begin('late', 50)
  begin('cancelled', 1_000, controller.signal)
  await clock.advance(60)
  t.same(ended, ['late ERR_SKEIN_TIMEOUT'])
  controller.abort()
  begin('closed')
  await clock.advance(1)
  window.close()
  begin('after')
  await clock.advance(1)
  t.same(ended.slice(1).sort(), [
    'after ERR_SKEIN_STOPPED',
    'cancelled ERR_SKEIN_CANCELLED',
    'closed ERR_SKEIN_STOPPED'
  ])
  t.same([...running.keys()], ['a', 'b'], 'none of them was sent')
})

const answer = (changes: Partial<ClusterAnswer> = {}): ClusterAnswer => ({
  node: 'a' as NodeId,
  revision: 7,
  clusterId: null,
  version: '1',
  members: ['a', 'b'].map((nodeId) => ({
    nodeId: nodeId as NodeId,
    address: `${nodeId}.example:1`,
    liveness: 'alive',
    lifecycle: 'up',
    health: 'healthy',
    datacenter: '',
    rack: ''
  })),
  groups: [],
  ...changes
})

t.test('what was told is known; whom others hold for dead is suspected', async (t) => {
  const cluster = new KnownCluster()
  const now = 1 as MonotonicMs
  cluster.learnSeed('a' as NodeId, 'seed:1')
  cluster.learnSeed('z' as NodeId, 'seed:2')
  t.equal(cluster.addressOf('a' as NodeId), 'seed:1')
  t.ok(cluster.learn(answer(), now))
  t.notOk(cluster.learn(answer({ revision: 8 }), now), 'the same again')
  t.equal(cluster.addressOf('a' as NodeId), 'a.example:1')
  t.equal(cluster.addressOf('z' as NodeId), 'seed:2')
  t.same(cluster.nodeIds(), ['a', 'b', 'z'])
  t.equal(cluster.revisionOf('a' as NodeId), 8)
  t.equal(cluster.revisionOf('b' as NodeId), 0)
  const members = answer().members.map((told) =>
    told.nodeId === 'a' ? { ...told, liveness: 'dead' as const } : told
  )
  t.ok(cluster.learn(answer({ node: 'b' as NodeId, revision: 3, members }), now))
  t.same(
    cluster.members().map(({ liveness }) => liveness),
    ['suspect', 'alive']
  )
  t.equal(cluster.revisionOf('a' as NodeId), 0, 'a’s revision says nothing about b’s')
})

t.test('the newest index of each group is kept', async (t) => {
  const seen = new LastIndexes()
  const group = (number: number) => number as GroupId
  const index = (number: number) => number as LogIndex
  seen.note(group(0), index(5))
  seen.note(group(0), index(3))
  seen.note(group(1), index(1))
  t.same([seen.of(group(0)), seen.of(group(1)), seen.of(group(2))], [5, 1, 0])
})
