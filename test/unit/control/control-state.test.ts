import t from 'tap'
import { encodeCommand, encodeWith } from '../../../src/control/change-command.js'
import {
  type AnySection,
  ControlState,
  formatOfChange
} from '../../../src/control/control-state.js'
import {
  type ClusterVersionChange,
  clusterVersionSection
} from '../../../src/control/sections/cluster-version.js'
import { ownSections } from '../../../src/control/sections.js'
import { decodeImage, encodeImage } from '../../../src/control/state-image.js'
import type { LogIndex, WallMs } from '../../../src/core/ids.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { tallySection } from './tally.js'

const at = (index: number) => index as LogIndex
const wall = (ms: number) => ms as WallMs
const tally = tallySection()
/** Of software that speaks more than any of these sections needs. */
const formatMax = 9
const sections = [...ownSections, tally as AnySection]

const said = (text: string, format = 1) => ({
  section: 'tally',
  format,
  change: encodeWith(tally.change, { text }, 100)
})

/** @throws when it is refused */
function planned(state: ControlState, text: string, index = 1, ms = 100): Uint8Array {
  const plan = state.fork().plan(said(text), at(index), wall(ms))
  if (plan.kind === 'refused') throw new Error(plan.reason)
  return plan.command
}

t.test('what a plan answers is what apply of its command answers', async (t) => {
  const state = new ControlState(sections, formatMax)
  const fork = state.fork()
  const plans = ['one', 'two'].map((text) => fork.plan(said(text), at(7), wall(50)))
  t.same(state.stateOf(tally), { count: 0, last: '' }, 'a plan on a fork changes nothing here')
  for (const plan of plans) {
    if (plan.kind === 'refused') throw new Error(plan.reason)
    const { answer, at: appliedAt } = state.apply(plan.command)
    t.same(encodeWith(tally.answer, answer as never, 100), plan.answer)
    t.equal(appliedAt.index, 7)
  }
  t.same(state.stateOf(tally), { count: 2, last: 'two' })
})

t.test('log time rises with every change, whatever the proposers’ clocks say', async (t) => {
  const state = new ControlState(sections, formatMax)
  const times: number[] = []
  for (const ms of [100, 40, 40.9, 500, 3]) {
    times.push(state.apply(planned(state, 'x', 1, ms)).at.now)
  }
  t.same(times, [100, 101, 102, 500, 501])
})

t.test('an unknown section or a later format stops the replica', async (t) => {
  const old = new ControlState(ownSections, formatMax)
  const state = new ControlState(sections, formatMax)
  t.throws(() => old.apply(planned(state, 'x')), { code: 'ERR_SKEIN_ENGINE_FAILED' })
  const later = encodeCommand({ ...said('2', 2), index: at(1), now: wall(1) })
  t.throws(() => state.apply(later), { code: 'ERR_SKEIN_ENGINE_FAILED', message: /format 2/ })
  t.throws(() => state.apply(Uint8Array.of(1, 2)), { code: 'ERR_SKEIN_PROTOCOL' })
  t.equal(state.stateOf(tally).count, 0)
})

t.test('nothing above the cluster version is proposed; finalizing opens the gate', async (t) => {
  const newer = tallySection(2)
  const state = new ControlState([...ownSections, newer as AnySection], formatMax)
  const refused = state.fork().plan(said('2', 2), at(1), wall(1))
  t.match(refused, { kind: 'refused', reason: /needs cluster version 2, it is 1/ })
  t.equal(state.apply(planned(state, 'old format')).section, newer as AnySection)
  const change = (value: Parameters<typeof clusterVersionSection.apply>[1]) => {
    const bytes = encodeWith(clusterVersionSection.change, value, 1_000)
    const request = { section: 'cluster-version', format: 1, change: bytes }
    const plan = state.fork().plan(request, at(2), wall(2))
    if (plan.kind === 'planned') state.apply(plan.command)
  }
  change({ kind: 'report', node: 'a' as never, min: 1, max: 2, software: '2' })
  change({ kind: 'finalize', to: 2, members: ['a' as never] })
  t.match(state.fork().plan(said('2', 2), at(3), wall(3)), { kind: 'planned' })
  t.match(state.fork().plan(said('3', 3), at(3), wall(3)), { kind: 'refused' })
  t.match(state.fork().plan({ ...said('x'), section: 'nobody' }, at(3), wall(3)), {
    kind: 'refused'
  })
})

t.test('D-12 software that does not speak the cluster version stops, and says so', async (t) => {
  const state = new ControlState(ownSections, 2)
  const older = new ControlState(ownSections, 1)
  const node = 'a' as never
  const describe = { kind: 'describe', node, min: 1, max: 2, software: '2', runtime: 'x' } as const
  const commandOf = (change: ClusterVersionChange) => {
    const format = formatOfChange(clusterVersionSection, change)
    const bytes = encodeWith(clusterVersionSection.change, change, 1_000)
    return state.fork().plan({ section: 'cluster-version', format, change: bytes }, at(1), wall(1))
  }
  const both = (change: ClusterVersionChange) => {
    const plan = commandOf(change)
    if (plan.kind === 'refused') throw new Error(plan.reason)
    state.apply(plan.command)
    return older.apply(plan.command)
  }
  t.match(commandOf(describe), { kind: 'refused', reason: /needs cluster version 2, it is 1/ })
  both({ kind: 'report', node, min: 1, max: 2, software: '2' })
  t.match(older.images(), state.images(), 'the same bytes until then')
  const stops = { code: 'ERR_SKEIN_ENGINE_FAILED', message: /version is 2, .* up to 1/ }
  t.throws(() => both({ kind: 'finalize', to: 2, members: [node] }), stops)
  const fresh = new ControlState(ownSections, 1)
  t.throws(() => fresh.restore(state.now, state.images()), stops)
  t.equal(fresh.stateOf(clusterVersionSection).clusterVersion, 1, 'and keeps what it was')
  const plan = commandOf(describe)
  t.equal(plan.kind, 'planned')
  t.throws(() => fresh.apply(plan.kind === 'planned' ? plan.command : new Uint8Array()), {
    message: /format 2 of section cluster-version, 1 is known/
  })
})

t.test('images: what was never changed is in none; older software reads the others', async (t) => {
  const newer = tallySection(2)
  const state = new ControlState([...ownSections, newer as AnySection], formatMax)
  t.same(state.images(), [])
  state.apply(planned(state, 'plain'))
  t.match(state.images(), [{ name: 'tally', format: 1 }])
  const older = new ControlState(sections, formatMax)
  older.restore(state.now, state.images())
  t.same(older.stateOf(tally), { count: 1, last: 'plain' })
  t.equal(older.now, state.now)
  state.apply(encodeCommand({ ...said('2', 2), index: at(2), now: wall(200) }))
  t.match(state.images(), [{ name: 'tally', format: 2 }])
  t.throws(() => older.restore(state.now, state.images()), { code: 'ERR_SKEIN_ENGINE_FAILED' })
  t.equal(older.stateOf(tally).count, 1, 'a refused image leaves what was')
  const unknowing = new ControlState(ownSections, formatMax)
  t.throws(() => unknowing.restore(state.now, state.images()), { code: 'ERR_SKEIN_ENGINE_FAILED' })
})

t.test('sections must be known by one name, and the cluster version be among them', async (t) => {
  t.throws(
    () => new ControlState([...sections, tallySection() as AnySection], formatMax),
    /one name/
  )
  t.throws(() => new ControlState([tally as AnySection], formatMax), /cluster version/)
  const misnamed = { ...tally, name: 'No Name' } as AnySection
  t.throws(() => new ControlState([...ownSections, misnamed], formatMax), /section "No Name"/)
})

t.test('an image that is damaged anywhere is not read', async (t) => {
  const state = new ControlState(sections, formatMax)
  state.apply(planned(state, 'x'))
  const encoded = encodeImage({
    appliedIndex: at(3),
    now: state.now,
    system: [{ key: 'client/time', value: Uint8Array.of(1, 2) }],
    sections: state.images()
  })
  const image = decodeImage(encoded)
  t.match(image, { appliedIndex: 3, now: state.now, system: [{ key: 'client/time' }] })
  const random = SplittableRandom.fromSeed(5)
  let read = 0
  for (let round = 0; round < 300; round++) {
    const damaged = encoded.slice()
    const place = random.nextInt(damaged.length)
    damaged[place] = (damaged[place] as number) ^ (1 << random.nextInt(8))
    try {
      decodeImage(damaged)
      read++
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_SKEIN_PROTOCOL') t.fail(String(error))
    }
  }
  t.equal(read, 0)
  for (const length of [0, 3, 4, encoded.length - 1]) {
    t.throws(() => decodeImage(encoded.slice(0, length)), { code: 'ERR_SKEIN_PROTOCOL' })
  }
})
