import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import type { NodeId } from '../../../../../src/core/index.js'
import { someOf } from '../../../../support/thoroughness.js'
import { SwimWorld } from '../swim-world.js'

const id = (name: string): NodeId => name as NodeId

const set = (world: SwimWorld, name: string, key: string, value: string): void =>
  world.do(name, (swim, now) => swim.metadata.set(key, value, now))

const isEverywhere = (world: SwimWorld, owner: string, key: string, value?: string): boolean =>
  world
    .running()
    .every(({ swim }) => swim.metadataOf(id(owner)).find((e) => e.key === key)?.value === value)

t.test('a pair is everywhere within a few rounds of gossip, and told once', async (t) => {
  const world = SwimWorld.settled(40, 3)
  set(world, 'n7', 'role', 'leader')
  const tookMs = world.runUntil(() => isEverywhere(world, 'n7', 'role', 'leader'), 10_000)
  t.ok(tookMs <= 5 * 200, `${tookMs} ms among 40`)
  t.equal(world.metadata.length, 40, 'each is told once, its owner too')
  t.ok(world.metadata.every(({ event }) => event.nodeId === 'n7' && event.value === 'leader'))
  world.do('n7', (swim, now) => t.ok(swim.metadata.delete('role', now)))
  t.ok(world.runUntil(() => isEverywhere(world, 'n7', 'role'), 10_000) <= 5 * 200)
})

t.test('with half of all datagrams lost the rest comes by comparing', async (t) => {
  for (let seed = 0; seed < someOf(6, 3); seed++) {
    const world = SwimWorld.settled(12, 50 + seed)
    world.datagramLoss = 0.5
    for (let i = 0; i < 12; i++) {
      for (let k = 0; k < 20; k++) set(world, `n${i}`, `k${k}`, `${'v'.repeat(90)}${k}`)
    }
    const isDone = (): boolean =>
      world
        .running()
        .every(({ swim }) =>
          world.running().every(({ nodeId }) => swim.metadataOf(nodeId).length === 20)
        )
    t.ok(world.runUntil(isDone, 60_000) < 60_000, 'all pairs of all are everywhere')
    world.metadata.length = 0
    const sent = world.datagramsSent
    world.heal()
    world.run(20_000)
    t.same(world.metadata, [], 'then nothing goes round any more')
    t.ok((world.datagramsSent - sent) / 12 / 20 < 2.2)
  }
})

t.test('S-28: members come and go while they talk; afterwards all agree', async (t) => {
  const count = 30
  const world = SwimWorld.settled(count, 71)
  world.datagramLoss = 0.05
  for (let step = 0; step < 40; step++) {
    const name = `n${1 + world.random.nextInt(count - 1)}`
    if (!world.node(name).isRunning) {
      world.add(name)
      world.join(name, 'n0')
    } else if (step % 3 === 0) world.crash(name)
    const owner = world.running()[world.random.nextInt(world.running().length)]
    if (owner !== undefined) set(world, owner.nodeId, `k${step % 5}`, `${step}`)
    world.run(1_500)
  }
  const agree = (): boolean => {
    const running = world.running()
    return (
      world.isConverged() &&
      running.every(({ swim }) =>
        running.every((owner) => {
          const own = owner.swim.metadataOf(owner.nodeId)
          return isDeepStrictEqual(swim.metadataOf(owner.nodeId), own)
        })
      )
    )
  }
  const tookMs = world.runUntil(agree, 60_000)
  t.ok(tookMs <= 15_000, `${tookMs} ms after the churn`)
})

t.test('a partition heals its metadata with its views', async (t) => {
  const world = SwimWorld.settled(8, 72)
  world.partition(['n0', 'n1', 'n2'])
  world.run(20_000)
  set(world, 'n0', 'side', 'left')
  set(world, 'n7', 'side', 'right')
  world.run(5_000)
  t.notOk(isEverywhere(world, 'n0', 'side', 'left'))
  world.heal()
  const isHealed = (): boolean =>
    isEverywhere(world, 'n0', 'side', 'left') && isEverywhere(world, 'n7', 'side', 'right')
  t.ok(world.runUntil(isHealed, 60_000) <= 40_000)
})

t.test('who restarts without memory goes above what others remember of it', async (t) => {
  const world = SwimWorld.settled(6, 73)
  for (let i = 0; i < 30; i++) set(world, 'n3', `k${i}`, 'old')
  world.run(5_000)
  world.add('n3')
  world.join('n3', 'n1')
  set(world, 'n3', 'k0', 'new')
  const isNew = (): boolean =>
    world.running().every(({ swim }) => {
      const held = swim.metadataOf(id('n3'))
      return held.length === 1 && held[0]?.value === 'new'
    })
  t.ok(world.runUntil(isNew, 60_000) < 40_000)
})

t.test('pairs of strangers are dropped, those of the forgotten go with them', async (t) => {
  const world = SwimWorld.settled(4, 74, { deadRetentionMs: 20_000 })
  set(world, 'n2', 'k', 'v')
  world.run(2_000)
  world.crash('n2')
  world.run(15_000)
  t.equal(world.node('n0').swim.metadataOf(id('n2')).length, 1, 'dead, and still remembered')
  world.run(30_000)
  t.same(world.node('n0').swim.metadataOf(id('n2')), [])
  world.do('n0', (swim, now) => {
    const stranger = { owner: id('x'), floor: 0, from: 0, version: 1 }
    const entries = [{ key: 'k', value: 'v', version: 1 }]
    swim.metadata.handleRumour({ ...stranger, entries }, now)
    t.same(swim.metadataOf(id('x')), [])
  })
})
