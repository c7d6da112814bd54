import t from 'tap'
import { NamespaceCluster } from '../netns/namespace-cluster.js'
import { namespacesRefused } from '../netns/namespaces.js'
import { detour, loss, oneWay, partition, reachability } from '../netns/scenarios.js'

const refused = await namespacesRefused()
const skip = refused === null ? false : `network namespaces are not permitted here: ${refused}`

t.test('five hosts with a network of their own', { skip }, async (t) => {
  const cluster = await NamespaceCluster.start(5)
  t.teardown(() => cluster.stop())
  t.test('S-10 a way that takes no datagrams, or small ones alone, is named', async (t) => {
    t.match(await reachability(cluster), { ok: true, deaths: 0 })
  })
  t.test('S-04 a third of everything is lost, and nobody is declared dead', async (t) => {
    t.match(await loss(cluster, 30, 6), { ok: true, deaths: 0 })
  })
  t.test('S-11 nothing from one reaches another, and both stay', async (t) => {
    t.match(await oneWay(cluster, 4), { ok: true, deaths: 0 })
  })
  t.test('a cut link is gone round by way of a third, and comes back', async (t) => {
    t.match(await detour(cluster), { ok: true, deaths: 0 })
  })
  t.test('S-13 a split of three and two merges by itself; the two refuse writes', async (t) => {
    t.match(await partition(cluster, 4), { ok: true, refusals: /missing: / })
  })
})
