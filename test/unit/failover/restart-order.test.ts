import fc from 'fast-check'
import t from 'tap'
import type { GroupId, NodeId, Term, WallMs } from '../../../src/core/ids.js'
import type { RestartPlan } from '../../../src/core/rolling-restart.js'
import { nodeIn } from '../../../src/failover/rolling-restart/cluster-view.js'
import { movesFrom, moveTarget } from '../../../src/failover/rolling-restart/leadership-moves.js'
import { emptyReport } from '../../../src/failover/rolling-restart/plan.js'
import { resolveRestartOptions } from '../../../src/failover/rolling-restart/restart-options.js'
import { nextNode, restartOrder } from '../../../src/failover/rolling-restart/restart-order.js'
import { previewRestart } from '../../../src/failover/rolling-restart/restart-preview.js'
import { node, type SightNode, sightOf } from './sights.js'

const order = (
  nodes: Readonly<Record<string, SightNode>>,
  self: string,
  first: string | null = null
) =>
  restartOrder(Object.keys(nodes).map(node), sightOf(nodes), {
    self: node(self),
    first: first === null ? null : node(first)
  }).join(' ')

t.test('who leads least goes first, the coordinator last', async (t) => {
  const nodes = { a: { leads: [0, 1] }, b: {}, c: { leads: [2] }, d: {} }
  t.equal(order(nodes, 'd'), 'b c a d')
  t.equal(order(nodes, 'a'), 'b d c a')
})

t.test('one failure domain after the other, the one of the coordinator last', async (t) => {
  const nodes = {
    a: { domain: 'r1' },
    b: { domain: 'r2', leads: [0] },
    c: { domain: 'r3', leads: [1, 2] },
    d: { domain: 'r1', leads: [3] },
    e: { domain: 'r2' },
    f: { domain: 'r3' }
  }
  t.equal(order(nodes, 'a'), 'e b f c d a')
  t.equal(order(nodes, 'f'), 'a d e b c f')
})

t.test('the canary and its domain go first', async (t) => {
  const nodes = { a: { domain: 'r1' }, b: { domain: 'r2', leads: [0] }, c: { domain: 'r2' } }
  t.equal(order(nodes, 'a', 'b'), 'b c a')
  t.equal(order(nodes, 'b', 'b'), 'b c a', 'also where that is the coordinator')
})

const some = fc.array(fc.record({ domain: fc.constantFrom('r1', 'r2', 'r3'), leads: fc.nat(3) }), {
  minLength: 1,
  maxLength: 9
})

t.test('in any cluster: everybody once, domains whole, the coordinator last', async (t) => {
  fc.assert(
    fc.property(some, fc.nat(8), (made, at) => {
      let group = 0
      const nodes: Record<string, SightNode> = {}
      for (const [i, { domain, leads }] of made.entries()) {
        nodes[`n${i}`] = { domain, leads: Array.from({ length: leads }, () => group++) }
      }
      const names = Object.keys(nodes).map(node)
      const self = names[at % names.length] as NodeId
      const sight = sightOf(nodes)
      const found = restartOrder(names, sight, { self, first: null })
      t.same([...found].sort(), [...names].sort())
      t.equal(found.at(-1), self)
      const domains = found.map((name) => nodeIn(sight, name)?.domain)
      const changes = domains.filter((domain, i) => domain !== domains[i - 1]).length
      t.equal(changes, new Set(domains).size, 'no domain is begun twice')
      t.same(restartOrder([...names].reverse(), sight, { self, first: null }), found)
    })
  )
})

const planOf = (done: readonly string[], left: readonly string[]): RestartPlan => ({
  id: 'p',
  options: resolveRestartOptions(),
  steps: [...done, ...left].map((name, i) => ({
    node: node(name),
    phase: done.includes(name) ? 'done' : 'pending',
    since: i as WallMs,
    boot: '',
    report: emptyReport
  })),
  status: 'running',
  reason: '',
  owner: null,
  epoch: 1 as Term,
  revision: 1,
  createdAt: 0 as WallMs,
  updatedAt: 0 as WallMs,
  history: []
})

t.test('leaderships that moved since the plan was made count', async (t) => {
  const nodes = { a: {}, b: { leads: [0] }, c: {} }
  t.equal(nextNode(planOf([], ['b', 'c', 'a']), sightOf(nodes), node('a')), 'c')
  t.equal(nextNode(planOf(['c'], ['b', 'a']), sightOf(nodes), node('c')), 'a')
  t.equal(nextNode(planOf(['c', 'a', 'b'], []), sightOf(nodes), node('c')), null)
})

t.test('a domain that was begun is finished first', async (t) => {
  const nodes = {
    a: { domain: 'r1' },
    b: { domain: 'r2' },
    c: { domain: 'r2', leads: [0, 1] },
    d: { domain: 'r3' }
  }
  t.equal(nextNode(planOf(['b'], ['a', 'c', 'd']), sightOf(nodes), node('a')), 'c')
})

t.test('leaderships go to healthy voters that keep up, and are spread', async (t) => {
  const nodes = { a: { leads: [0, 1, 2, 3] }, b: {}, c: {}, d: { verdict: 'degraded' as const } }
  const sight = sightOf(nodes, { behind: { 3: ['c'] } })
  const moves = movesFrom(node('a'), sight, () => 0)
  t.same(
    moves.map(({ group, target }) => `${group}→${target}`),
    ['0→b', '1→c', '2→b', '3→b']
  )
  const preferC = (name: NodeId) => (name === 'c' ? 0 : 1)
  const target = (preference: (name: NodeId) => number) =>
    moveTarget(0 as GroupId, sight, { from: node('a'), preference })
  t.equal(target(preferC), 'c')
  t.equal(moveTarget(9 as GroupId, sight, { from: node('a'), preference: preferC }), null)
})

t.test(
  'a preview is the order in which nodes go, and tells what moves and what is wrong',
  async (t) => {
    const nodes = { a: { leads: [0] }, b: {}, c: { leads: [1] } }
    const options = resolveRestartOptions({ errorRateMax: 0.01 })
    const names = Object.keys(nodes).map(node)
    const preview = previewRestart(names, options, sightOf(nodes), node('a'))
    t.same(
      preview.steps.map(({ node, moves }) => `${node}: ${moves.map(({ target }) => target)}`),
      ['b: ', 'c: b', 'a: c']
    )
    t.match(preview.steps[2], { isCoordinator: true, isCanary: false })
    t.ok(preview.ok)
    const ill = sightOf({ ...nodes, b: { status: null } })
    const seen = previewRestart(names, options, ill, node('a'))
    t.notOk(seen.ok)
    t.match(seen.steps.find((step) => step.node === 'c')?.faults, [/b does not answer/])
    const slow = { ...sightOf(nodes), serviceLevel: { errorRate: 0.5, p99Ms: null } }
    t.match(previewRestart(names, options, slow, node('a')).serviceFault, /50.00 %/)
  }
)
