/** Plain writes of rows that transactions over groups are after all the time. */
import t from 'tap'
import type { GroupId } from '../../../src/core/ids.js'
import {
  account,
  accountsPerGroup,
  bank,
  groups,
  opened,
  requestOf,
  type World
} from '../../support/two-phase/replicated-bank.js'

const [one, other] = groups as [GroupId, GroupId]
const clientsPerRow = 4
const rows = Array.from({ length: accountsPerGroup }, (_, at) => account(1, at))
const transferTo = (row: string, at: number) =>
  [
    [one, `add ${account(0, at)} -1`],
    [other, `add ${row} 1`]
  ] as [GroupId, string][]

/** Each row is hardly ever free, all of them at once never. Until it is over. */
async function transferOn(world: World, isOver: () => boolean): Promise<number> {
  const { cluster, run } = world
  let done = 0
  const clients = rows.flatMap((row, at) =>
    Array.from({ length: clientsPerRow }, () => transferTo(row, at))
  )
  const loops = clients.map(async (parts) => {
    while (!isOver()) {
      const leader = await cluster.untilLeader(one)
      await run(leader, requestOf(parts, null)).then(
        () => done++,
        () => {}
      )
    }
  })
  await Promise.all(loops)
  return done
}

t.test('T-17 a plain write of rows that are held all the time comes to its turn', async (t) => {
  const world = bank(21)
  const { cluster } = world
  await opened(world)
  let isOver = false
  const load = transferOn(world, () => isOver)
  await cluster.clock.advance(200)
  const leader = cluster.group(await cluster.untilLeader(other), other)
  let answered = 0
  for (let i = 0; i < 10; i++) {
    const statements = rows.map((row) => ({ sql: `add ${row} 0` }))
    const write = leader.write({ statements, client: null, deadline: cluster.deadline(600) })
    await cluster.clock.settle(write).then(
      () => answered++,
      (error: unknown) => t.match(error, { code: 'ERR_SKEIN_LOCKED' })
    )
  }
  isOver = true
  const done = await cluster.clock.settle(load)
  t.equal(answered, 10)
  t.ok(done > 20, `${done} transfers went on`)
  const { writes_set_aside: aside = 0 } = cluster
    .node(cluster.leader(other) as string)
    .driver.counters.snapshot()
  t.ok(aside > 0, `rows were met ${aside} times`)
})
