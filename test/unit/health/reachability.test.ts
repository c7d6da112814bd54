import t from 'tap'
import type { NodeId } from '../../../src/core/index.js'
import { findingOf } from '../../../src/health/reachability.js'
import { HealthWorld } from '../../support/health-world.js'

const id = (name: string) => name as NodeId

t.test('what is found is named by the part of the path that fails', (t) => {
  const way = (small: number, full: number) => ({
    small: { sent: 5, received: small },
    full: { sent: 5, received: full }
  })
  const rows = [
    [null, null, null, 'noStream'],
    [1, null, null, 'datagramsUntested'],
    [1, way(5, 5), way(5, 5), 'reachable'],
    [1, way(5, 5), null, 'reachable'],
    [1, null, way(5, 5), 'reachable'],
    [1, way(0, 0), way(0, 0), 'noDatagrams'],
    [1, way(0, 0), way(5, 5), 'noDatagramsOut'],
    [1, way(0, 0), null, 'noDatagramsOut'],
    [1, way(5, 5), way(0, 0), 'noDatagramsBack'],
    [1, null, way(0, 0), 'noDatagramsBack'],
    [1, way(5, 0), way(5, 5), 'noFullDatagrams'],
    [1, way(5, 5), way(4, 0), 'noFullDatagrams'],
    [1, way(5, 4), way(5, 5), 'lossy'],
    [1, way(5, 5), way(1, 5), 'lossy']
  ] as const
  for (const [roundTripMs, out, back, finding] of rows) {
    t.equal(findingOf({ roundTripMs, out, back }), finding)
  }
  t.end()
})

t.test('every way is tested from one end, one test at a time', async (t) => {
  const world = new HealthWorld(t)
  const { driver } = world.add('a')
  for (const name of ['b', 'c', 'd', 'e', 'f', 'g']) world.add(name)
  world.add('old', { datagrams: false })
  world.setLoss('a', 'b', 1)
  world.setLoss('b', 'a', 1)
  world.setLoss('a', 'c', 1)
  world.setLoss('d', 'a', 1)
  world.network.datagramBytesMax.set('e>a', 1_000)
  world.link('a', 'f', { cut: true })
  const testing = driver.reachability()
  await t.rejects(driver.reachability(), { code: 'ERR_SKEIN_BACKPRESSURE' })
  const found = await world.clock.settle(testing)
  t.same(
    found.map(({ nodeId, finding }) => `${nodeId} ${finding}`),
    [
      'b noDatagrams',
      'c noDatagramsOut',
      'd noDatagramsBack',
      'e noFullDatagrams',
      'f noStream',
      'g reachable',
      'old noDatagramsOut'
    ]
  )
  t.match(found[4], { roundTripMs: null, error: { code: 'ERR_SKEIN_TIMEOUT' }, out: null })
  t.match(found[5], {
    address: 'g:1',
    roundTripMs: 10,
    error: null,
    out: { small: { sent: 5, received: 5 }, full: { sent: 5, received: 5 } },
    back: { small: { sent: 5, received: 5 }, full: { sent: 5, received: 5 } }
  })
  t.match(found[6], { back: null }, 'who has no datagrams sends none')
  const again = await world.clock.settle(driver.reachability([id('g')]))
  t.match(again, [{ nodeId: 'g', finding: 'reachable' }])
  t.equal(again.length, 1)
  await t.rejects(driver.reachability([id('a')]), { code: 'ERR_SKEIN_UNKNOWN_NODE' })
  await t.rejects(driver.reachability([id('z')]), { code: 'ERR_SKEIN_UNKNOWN_NODE' })
})

t.test('others are served within a bound', async (t) => {
  const world = new HealthWorld(t)
  world.add('a')
  const askers = Array.from({ length: 20 }, (_, i) => world.add(`b${i}`).driver)
  const found = await world.clock.settle(
    Promise.all(askers.map((asker) => asker.reachability([id('a')])))
  )
  t.equal(found.filter(([row]) => row?.back !== null).length, 16)
  t.ok(
    found.every(([row]) => row?.finding === 'reachable'),
    'what was not sent is not called lost'
  )
})

t.test('loss is not told by a node that does not count the trains of so many peers', async (t) => {
  const world = new HealthWorld(t, { config: { peersMax: 1 } })
  for (const name of ['a', 'b', 'c']) world.add(name)
  await world.clock.advance(600_000)
  for (const { driver } of world.nodes.values()) {
    t.ok(driver.metrics().loss_trains < 41, 'some could not be asked')
    t.equal(driver.metrics().packet_loss_rate, 0)
  }
})
