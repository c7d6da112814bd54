/** Copies of all groups that are begun one after the other, while money moves between them. */
import t from 'tap'
import type { MonotonicMs } from '../../../src/core/ids.js'
import { decodeChanges } from '../../../src/failover/two-phase/changes.js'
import { accounts, SeededRun } from '../../support/two-phase/run-seeds.js'
import type { SimGroup, SimLeader } from '../../support/two-phase/sim-group.js'
import type { World } from '../../support/two-phase/world.js'

const everyMs = 150
const holdMs = 1_000
const pinWithinMs = 80

const sumOf = (values: ReadonlyMap<string, number>): number =>
  [...values.values()].reduce((a, b) => a + b, 0)

/** As the driver does, with the moment of each group's copy of its own. */
class Backups {
  readonly sums: number[] = []
  given = 0
  readonly #world: World
  readonly #isHeld: boolean
  #count = 0

  constructor(world: World, isHeld: boolean) {
    this.#world = world
    this.#isHeld = isHeld
    world.after(everyMs, () => this.#begin())
  }

  #begin(): void {
    const world = this.#world
    const token = `backup ${++this.#count}`
    const leaders = world.groups.flatMap(({ leader }) => leader ?? [])
    if (leaders.length < world.groups.length) {
      this.#end(leaders, token)
      return
    }
    const until = (world.now + holdMs) as MonotonicMs
    for (const { hold } of this.#isHeld ? leaders : []) {
      hold.hold(token, until, world.now as MonotonicMs)
    }
    this.#await(leaders, token)
  }

  #await(leaders: readonly SimLeader[], token: string): void {
    const world = this.#world
    if (this.#isHeld && !this.#isConfirmed(leaders, token)) this.#end(leaders, token)
    else if (!this.#isHeld || world.groups.every(isSettled)) this.#pinAll(leaders, token)
    else world.after(5, () => this.#await(leaders, token))
  }

  #pinAll(leaders: readonly SimLeader[], token: string): void {
    const world = this.#world
    const pinned: number[] = []
    for (const { values } of world.groups) {
      world.after(world.random.nextInt(pinWithinMs), () => {
        pinned.push(sumOf(values))
        if (pinned.length < world.groups.length) return
        if (!this.#isHeld || this.#isConfirmed(leaders, token)) {
          this.sums.push(pinned.reduce((a, b) => a + b, 0))
        }
        this.#end(leaders, token)
      })
    }
  }

  #isConfirmed(leaders: readonly SimLeader[], token: string): boolean {
    const { groups, now } = this.#world
    return leaders.every(
      (leader, i) => groups[i]?.leader === leader && leader.hold.isHeldBy(token, now as MonotonicMs)
    )
  }

  #end(leaders: readonly SimLeader[], token: string): void {
    this.given++
    for (const leader of leaders) this.#world.release(leader, token)
    this.#world.after(everyMs, () => this.#begin())
  }
}

function isSettled({ canonical, proposals }: SimGroup): boolean {
  const isDeciding = proposals.some(
    ({ payload }) =>
      payload.kind === 'transactions' &&
      decodeChanges(payload.bytes).some(({ kind }) => kind === 'decide')
  )
  return canonical.decisionCount === 0 && !isDeciding
}

/** Sums of the backups of some runs that differ from what there is, and how many were made. */
function backupsOf(seeds: number, isHeld: boolean): { taken: number; wrong: number } {
  let taken = 0
  let wrong = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const run = new SeededRun(seed)
    const total = accounts(run.world.groups.length).reduce((sum, one) => sum + sumOf(one), 0)
    const backups = new Backups(run.world, isHeld)
    run.run(3_000)
    taken += backups.sums.length
    wrong += backups.sums.filter((sum) => sum !== total).length
  }
  return { taken, wrong }
}

t.test('every transfer is whole in a backup, or not there', async (t) => {
  const { taken, wrong } = backupsOf(12, true)
  t.comment(`${taken} backups`)
  t.equal(wrong, 0)
  t.ok(taken > 40, 'they are taken in the midst of faults')
})

t.test('without holding decisions transfers would be torn', async (t) => {
  const { taken, wrong } = backupsOf(5, false)
  t.comment(`${wrong} of ${taken} backups`)
  t.ok(wrong > 0)
})
