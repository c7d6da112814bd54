import t from 'tap'
import { encodeWith, sectionStateBytesMax } from '../../../../src/control/change-command.js'
import {
  activePlan,
  activePlansMax,
  endedPlansMax,
  type PlansAnswer,
  type PlansChange,
  planBodyBytesMax,
  planById,
  plansSection
} from '../../../../src/control/sections/plans.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { SectionRun } from './run-section.js'

const body = (n: number) => Uint8Array.of(n)
const plan = (kind: string, id: string, n = 0) => ({ kind, id, body: body(n) })
const begin = (kind: string, id: string): PlansChange => ({ kind: 'begin', plan: plan(kind, id) })
const update = (kind: string, id: string, revision: number, n = 0): PlansChange => ({
  kind: 'update',
  plan: plan(kind, id, n),
  revision
})
const end = (kind: string, id: string, revision: number, outcome = 'done'): PlansChange => ({
  kind: 'end',
  plan: plan(kind, id),
  revision,
  outcome
})

t.test('at most one plan of a kind is active', async (t) => {
  const run = new SectionRun(plansSection)
  const first = run.apply(begin('restart', 'r1'))
  t.match(first, { refusal: null, activeId: 'r1' })
  t.match(run.apply(begin('restart', 'r2')), {
    refusal: 'active',
    activeId: 'r1',
    revision: first.revision
  })
  t.match(run.apply(begin('split', 's1')), { refusal: null, activeId: 's1' })
  t.match(run.apply(end('restart', 'r1', first.revision)), { refusal: null, activeId: null })
  t.match(run.apply(begin('restart', 'r1')), { refusal: 'idUsed' }, 'an id names one plan')
  t.match(run.apply(begin('restart', 'r2')), { refusal: null })
})

t.test('a plan changes only from the revision that its writer has seen', async (t) => {
  const run = new SectionRun(plansSection)
  const { revision } = run.apply(begin('restart', 'r1'))
  const next = run.apply(update('restart', 'r1', revision, 7))
  t.match(next, { refusal: null })
  t.same([...(activePlan(run.state, 'restart')?.body ?? [])], [7])
  t.match(run.apply(update('restart', 'r1', revision, 8)), {
    refusal: 'changed',
    revision: next.revision
  })
  t.match(run.apply(end('restart', 'r1', revision)), { refusal: 'changed' })
  t.match(run.apply(update('restart', 'r9', next.revision)), { refusal: 'unknown', activeId: 'r1' })
  t.match(run.apply(update('other', 'r1', next.revision)), { refusal: 'unknown', activeId: null })
  t.match(run.apply(end('restart', 'r1', next.revision, 'aborted')), { refusal: null })
  t.match(planById(run.state, 'restart', 'r1'), { outcome: 'aborted' })
  t.equal(planById(run.state, 'restart', 'r2'), null)
})

t.test(
  'ended plans are kept up to a bound, active kinds likewise; all fits a message',
  async (t) => {
    const run = new SectionRun(plansSection)
    const full = new Uint8Array(planBodyBytesMax)
    for (let i = 0; i <= endedPlansMax; i++) {
      const { revision } = run.apply(begin('restart', `r${i}`))
      const last = { kind: 'restart', id: `r${i}`, body: full }
      run.apply({ kind: 'end', plan: last, revision, outcome: 'done' })
    }
    t.equal(run.state.ended.length, endedPlansMax)
    t.equal(planById(run.state, 'restart', 'r0'), null, 'the oldest has gone')
    for (let i = 0; i < activePlansMax; i++) {
      run.apply({ kind: 'begin', plan: { kind: `kind ${i}`, id: 'x', body: full } })
    }
    t.match(run.apply(begin('one more', 'x')), { refusal: 'tooMany' })
    t.ok(encodeWith(plansSection.state, run.state, sectionStateBytesMax).length > 0)
  }
)

t.test('a naive twin decides the same', async (t) => {
  const random = SplittableRandom.fromSeed(9)
  for (let round = 0; round < 100; round++) {
    const run = new SectionRun(plansSection)
    const active = new Map<string, { id: string; revision: number }>()
    const used = new Set<string>()
    let revision = 0
    for (let step = 0; step < 40; step++) {
      const kind = `k${random.nextInt(3)}`
      const id = `${random.nextInt(6)}`
      const expected = Math.max(0, revision - random.nextInt(3))
      const mine = active.get(kind)
      const what = random.nextInt(3)
      let answer: PlansAnswer
      let isDone: boolean
      if (what === 0) {
        isDone = mine === undefined && !used.has(`${kind} ${id}`)
        answer = run.apply(begin(kind, id))
        if (isDone) active.set(kind, { id, revision: revision + 1 })
      } else {
        isDone = mine?.id === id && mine.revision === expected
        answer = run.apply(what === 1 ? update(kind, id, expected) : end(kind, id, expected))
        if (isDone && what === 1) active.set(kind, { id, revision: revision + 1 })
        if (isDone && what === 2) {
          active.delete(kind)
          used.add(`${kind} ${id}`)
        }
      }
      if (isDone) revision++
      const isSame = answer.activeId === (active.get(kind)?.id ?? null)
      if ((answer.refusal === null) !== isDone || !isSame) {
        t.fail(`round ${round}, step ${step}: ${JSON.stringify(answer)}`)
      }
    }
  }
  t.pass('100 rounds')
})
