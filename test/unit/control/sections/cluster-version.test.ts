import t from 'tap'
import { encodeWith } from '../../../../src/control/change-command.js'
import {
  type ClusterVersionChange,
  clusterVersionSection,
  highestCommon,
  mayPropose,
  versionNodesMax,
  versionNodesNamedMax
} from '../../../../src/control/sections/cluster-version.js'
import type { NodeId } from '../../../../src/core/ids.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { SectionRun } from './run-section.js'

const id = (name: string) => name as NodeId
const ids = (...names: string[]) => names.map(id)
const report = (node: string, min: number, max: number): ClusterVersionChange => ({
  kind: 'report',
  node: id(node),
  min,
  max,
  software: `0.${max}.0`
})
const finalize = (to: number, ...members: string[]): ClusterVersionChange => ({
  kind: 'finalize',
  to,
  members: ids(...members)
})

t.test(
  'the version is raised when every member speaks the new one, and never before',
  async (t) => {
    const run = new SectionRun(clusterVersionSection)
    run.apply(report('b', 1, 2))
    run.apply(report('a', 1, 2))
    t.match(run.apply(finalize(2, 'a', 'b', 'c')), { refusal: 'olderMembers', nodes: ['c'] })
    run.apply(report('c', 1, 1))
    t.match(run.apply(finalize(2, 'a', 'b', 'c')), { refusal: 'olderMembers', nodes: ['c'] })
    t.equal(highestCommon(run.state, ids('a', 'b', 'c')), 1)
    run.apply(report('c', 1, 2))
    t.equal(highestCommon(run.state, ids('a', 'b', 'c')), 2)
    t.equal(highestCommon(run.state, ids('d')), null, 'somebody has not said what it speaks')
    t.notOk(mayPropose(run.state, 2))
    t.match(run.apply(finalize(2, 'a', 'b', 'c')), {
      refusal: null,
      clusterVersion: 2,
      minVersion: 1
    })
    t.ok(mayPropose(run.state, 2))
    t.match(run.apply(finalize(2, 'a')), { refusal: 'notAbove', clusterVersion: 2 })
    t.same(
      run.state.nodes.map(({ node }) => node),
      ['a', 'b', 'c'],
      'sorted'
    )
  }
)

t.test(
  'a node that reported and is not there any more is in the way until forgotten',
  async (t) => {
    const run = new SectionRun(clusterVersionSection)
    run.apply(report('a', 1, 2))
    run.apply(report('gone', 1, 1))
    t.match(run.apply(finalize(2, 'a')), { refusal: 'olderMembers', nodes: ['gone'] })
    t.match(run.apply({ kind: 'forget', node: id('gone') }), { refusal: null })
    t.match(run.apply({ kind: 'forget', node: id('gone') }), { refusal: 'unknownNode' })
    t.match(run.apply(finalize(2, 'a')), { refusal: null })
  }
)

t.test('software that does not fit is told so, and stays visible', async (t) => {
  const run = new SectionRun(clusterVersionSection)
  for (const [to, min] of [
    [2, 1],
    [3, 2]
  ] as const) {
    run.apply(report('a', min, to))
    t.match(run.apply(finalize(to, 'a')), { refusal: null })
  }
  t.match(run.state, { clusterVersion: 3, minVersion: 2 })
  t.match(run.apply(report('b', 1, 2)), { refusal: 'tooOld', nodes: ['b'] })
  t.match(run.apply(report('c', 3, 4)), { refusal: 'tooNew', nodes: ['c'] })
  t.match(run.apply(report('d', 2, 3)), { refusal: null })
  t.same(
    run.state.nodes.map(({ node }) => node),
    ['a', 'b', 'c', 'd']
  )
})

t.test(
  'D-12 what software runs on is kept beside it, in bytes that were not there before',
  async (t) => {
    const run = new SectionRun(clusterVersionSection)
    const stored = () => encodeWith(clusterVersionSection.state, run.state, 1_000)
    const describe = (node: string, runtime: string): ClusterVersionChange => ({
      kind: 'describe',
      node: id(node),
      min: 1,
      max: 2,
      software: '0.2.0',
      runtime
    })
    run.apply(report('a', 1, 2))
    run.apply(report('b', 1, 2))
    const before = stored()
    run.apply(describe('b', 'Node.js 22.1.0'))
    run.apply(describe('a', 'Node.js 20.2.0'))
    t.same(run.state.runtimes, [
      { node: 'a', runtime: 'Node.js 20.2.0' },
      { node: 'b', runtime: 'Node.js 22.1.0' }
    ])
    run.apply(describe('a', 'Node.js 24.3.0'))
    t.equal(run.state.runtimes?.[0]?.runtime, 'Node.js 24.3.0')
    run.apply(report('a', 1, 2))
    t.same(
      run.state.runtimes,
      [{ node: 'b', runtime: 'Node.js 22.1.0' }],
      'other software, perhaps'
    )
    t.ok(stored().length > before.length)
    run.apply({ kind: 'forget', node: id('b') })
    t.notOk('runtimes' in run.state)
    t.equal(clusterVersionSection.formatOf?.(describe('a', 'x')), 2)
    t.equal(clusterVersionSection.formatOf?.(report('a', 1, 2)), 1)
  }
)

t.test('the table of nodes and the names in a refusal are bounded', async (t) => {
  const run = new SectionRun(clusterVersionSection)
  const name = (i: number) => `${'n'.repeat(58)}${String(i).padStart(5, '0')}`
  for (let i = 0; i < versionNodesMax; i++) {
    const { state } = clusterVersionSection.apply(run.state, report(name(i), 1, 1), run.at)
    run.state = state
  }
  t.match(run.apply(report('x', 1, 1)), { refusal: 'tooMany', nodes: ['x'] })
  t.match(run.apply(report(name(3), 1, 2)), { refusal: null }, 'a known one may still report')
  t.equal(run.apply(finalize(3)).nodes.length, versionNodesNamedMax)
})

t.test('a naive twin decides the same', async (t) => {
  const random = SplittableRandom.fromSeed(4)
  const names = ['a', 'b', 'c', 'd']
  for (let round = 0; round < 200; round++) {
    const run = new SectionRun(clusterVersionSection)
    const spoken = new Map<string, number>()
    let version = 1
    for (let step = 0; step < 30; step++) {
      const name = names[random.nextInt(names.length)] as string
      const what = random.nextInt(8)
      if (what < 4) {
        const max = 1 + random.nextInt(5)
        run.apply(report(name, 1, max))
        spoken.set(name, max)
      } else if (what === 4) {
        run.apply({ kind: 'forget', node: id(name) })
        spoken.delete(name)
      } else {
        const to = 1 + random.nextInt(6)
        const members = names.filter(() => random.nextInt(2) === 0)
        const all = new Set([...members, ...spoken.keys()])
        const isDone = to > version && [...all].every((one) => (spoken.get(one) ?? 0) >= to)
        if (isDone) version = to
        const { refusal } = run.apply(finalize(to, ...members))
        if ((refusal === null) !== isDone) t.fail(`round ${round}, step ${step}: ${refusal}`)
      }
      if (run.state.clusterVersion !== version) t.fail(`${run.state.clusterVersion}, ${version}`)
    }
  }
  t.pass('200 rounds')
})
