import t from 'tap'
import {
  type Incarnation,
  Lifecycles,
  Livenesses,
  type Member,
  type MonotonicMs,
  type NodeId,
  unstatedCapacity
} from '../../../../src/core/index.js'
import { DeliveryWorld, parcel, reliabilities } from '../../../support/delivery-world.js'

const message = { type: parcel, body: { number: 7, text: '' } }

function member(name: string, change: Partial<Member> = {}): Member {
  return {
    nodeId: name as NodeId,
    address: `${name}:1`,
    incarnation: 1 as Incarnation,
    liveness: Livenesses.Alive,
    lifecycle: Lifecycles.Up,
    health: 'healthy',
    datacenter: '',
    rack: '',
    metadata: {},
    capacity: unstatedCapacity,
    tags: [],
    lastSeen: 0 as MonotonicMs,
    ...change
  }
}

/** Who is here: one that handles, one that throws, one that never ends; and some that are not. */
async function flock() {
  const world = new DeliveryWorld()
  const a = await world.start('a')
  const b = await world.start('b')
  const c = await world.start('c')
  const d = await world.start('d')
  c.before = () => {
    throw new Error('a bug')
  }
  d.before = () => new Promise<void>(() => {})
  const members = [
    member('z', { liveness: Livenesses.Suspect }),
    member('d'),
    member('gone', { liveness: Livenesses.Dead }),
    member('b', { liveness: Livenesses.Suspect }),
    member('a'),
    member('left', { lifecycle: Lifecycles.Left }),
    member('c')
  ]
  return { world, a, b, c, d, members }
}

for (const reliability of reliabilities) {
  t.test(
    `${reliability}: one outcome for each member, whatever became of the others`,
    async (t) => {
      const { world, a, b, members } = await flock()
      const sent = a.delivery.broadcast(message, members, { reliability, timeoutMs: 500 })
      const { outcomes, complete } = await world.clock.settle(sent)
      t.match(outcomes, [
        { kind: 'skipped', nodeId: 'a', reason: 'self' },
        { kind: 'delivered', nodeId: 'b' },
        { kind: 'failed', nodeId: 'c', error: { code: 'ERR_SKEIN_INTERNAL' } },
        { kind: 'failed', nodeId: 'd', error: { code: 'ERR_SKEIN_INDETERMINATE' } },
        { kind: 'skipped', nodeId: 'gone', reason: 'dead' },
        { kind: 'skipped', nodeId: 'left', reason: 'left' },
        { kind: 'failed', nodeId: 'z', error: { code: 'ERR_SKEIN_UNDELIVERED' } }
      ])
      t.equal(outcomes.length, members.length)
      t.equal(complete, false)
      t.same([a.numbers, b.numbers], [[], [7]])
      t.equal(a.delivery.counters.get('broadcasts'), 1)
      t.equal(a.delivery.counters.get('acked_sent'), 4, 'who is skipped is not sent to')
    }
  )
}

t.test('complete: everybody who was not skipped got it', async (t) => {
  const { world, a, members } = await flock()
  const some = members.filter(({ nodeId }) => !['c', 'd', 'z'].includes(nodeId))
  const { outcomes, complete } = await world.clock.settle(a.delivery.broadcast(message, some))
  t.equal(complete, true)
  t.same(
    outcomes.map(({ kind }) => kind),
    ['skipped', 'delivered', 'skipped', 'skipped']
  )
  t.same(await a.delivery.broadcast(message, []), { outcomes: [], complete: true })
})

t.test('none: queued for those that are connected, refused for the others', async (t) => {
  const { world, a, b, members } = await flock()
  for (const to of ['b', 'c', 'd'] as const) {
    await world.outcome(a.send(to, 0, { reliability: 'acked', timeoutMs: 200 }))
  }
  const sent = a.delivery.broadcast(message, members, { reliability: 'none' })
  const { outcomes, complete } = await sent
  t.same(
    outcomes.map((one) => (one.kind === 'failed' ? one.error.code : one.kind)),
    ['skipped', 'queued', 'queued', 'queued', 'skipped', 'skipped', 'ERR_SKEIN_NOT_SENT']
  )
  t.equal(complete, false)
  await world.clock.until(() => b.numbers.includes(7))
})

t.test('a broadcast that nobody can take is refused for each, by code', async (t) => {
  const { world, a, members } = await flock()
  const wrong = { type: parcel, body: { number: -1, text: '' } }
  const { outcomes } = await world.clock.settle(a.delivery.broadcast(wrong, members))
  const failed = outcomes.flatMap((one) => (one.kind === 'failed' ? [one.error.code] : []))
  t.same(failed, Array(4).fill('ERR_SKEIN_INVALID_ARGUMENT'))
})
