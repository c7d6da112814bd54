import t, { type Test } from 'tap'
import { NamespaceCluster } from '../netns/namespace-cluster.js'
import { namespacesRefused } from '../netns/namespaces.js'
import { detour, type Figures, loss, oneWay, partition, reachability } from '../netns/scenarios.js'

const refused = await namespacesRefused()
const skip = refused === null ? false : `network namespaces are not permitted here: ${refused}`

t.test('five hosts with a network of their own', { skip }, async (t) => {
  const cluster = await NamespaceCluster.start(5)
  t.teardown(() => cluster.stop())
  t.test('a cut link is gone round by way of a third, and comes back', async (t) => {
    holds(t, await detour(cluster), { ok: true, deaths: 0 })
  })
  t.test('S-10 a way that takes no datagrams, or small ones alone, is named', async (t) => {
    holds(t, await reachability(cluster), { ok: true, deaths: 0 })
  })
  t.test('S-04 a third of everything is lost, and nobody is declared dead', async (t) => {
    holds(t, await loss(cluster, 30, 6), { ok: true, deaths: 0 })
  })
  t.test('S-11 nothing from one reaches another, and both stay', async (t) => {
    holds(t, await oneWay(cluster, 4), { ok: true, deaths: 0 })
  })
  t.test('S-13 a split of three and two merges by itself; the two refuse writes', async (t) => {
    holds(t, await partition(cluster, 4), { ok: true, refusals: /missing: / })
  })
})

/** What was measured is told, so that a failure says more than that it was none. */
function holds(t: Test, figures: Figures, wanted: Readonly<Record<string, unknown>>): void {
  t.comment(JSON.stringify(figures))
  t.match(figures, wanted)
}
