import t from 'tap'
import { simulate } from '../../lib/testing.js'
import { must, type SecurityManager } from '../../src/core/index.js'
import { hostName } from '../../src/simulation/host-name.js'
import { calmCluster } from './calm/calm-cluster.js'

/** A cluster without faults, in which every connection is renewed every few seconds. */
async function calmTrust(seed: number) {
  const security = { insecure: true, linkAgeMaxMs: 4_000, compareIntervalMs: 1_000 }
  const world = calmCluster(seed, 5, { security })
  const { cluster, run, time } = world
  cluster.start()
  await run(5_000)
  const nodes = cluster.startedNodes()
  const events: string[] = []
  for (const { manager } of nodes) {
    void (async () => {
      for await (const event of manager.subscribeToEvents()) events.push(event.type)
    })()
  }
  const inTurn = <T>(host: number, call: () => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const { process } = must(nodes[host], 'node')
      time.post(time.now, 'test', process, () => void call().then(resolve, reject))
    })
  const within = async <T>(ms: number, pending: Promise<T>): Promise<T> => {
    await run(ms)
    return pending
  }
  const ask = <T>(host: number, call: (security: SecurityManager) => Promise<T>): Promise<T> =>
    within(
      1_000,
      inTurn(host, () => call(must(nodes[host], 'node').manager.security))
    )
  const sum = (category: string, name: string) =>
    nodes.reduce((total, { manager }) => {
      const value = manager.getAllMetrics()[category]?.[name]
      return total + must(value, name)
    }, 0)
  return { ...world, nodes, events, inTurn, within, ask, sum }
}

const pauseMs = 40

/** Writes one after another through all nodes, while something else is done. */
async function writing(
  { nodes, inTurn, run, time }: Awaited<ReturnType<typeof calmTrust>>,
  meanwhile: () => Promise<void>
) {
  const acknowledged: number[] = []
  const failed: unknown[] = []
  let isOver = false
  let open = 0
  const write = (number: number): void => {
    if (isOver) return
    open++
    const host = number % nodes.length
    inTurn(host, () =>
      must(nodes[host], 'node').manager.executeQuery(`append s ,${number}`, { timeoutMs: 2_000 })
    )
      .then(() => acknowledged.push(number))
      .catch((error: unknown) => failed.push(error))
      .finally(() => {
        open--
        time.post(time.now + pauseMs, 'test', null, () => write(number + 1))
      })
  }
  write(0)
  await meanwhile()
  isOver = true
  for (let i = 0; i < 100 && open > 0; i++) await run(50)
  return { acknowledged, failed }
}

t.test('X-49 keys and certificates change under load: nothing is lost, nobody dies', async (t) => {
  const world = await calmTrust(31)
  const { ask, cluster, authority, run, sum, events, nodes, inTurn, within } = world
  const { acknowledged, failed } = await writing(world, async () => {
    for (const round of [0, 1]) {
      const before = await ask(round, (security) => security.listKeys())
      const { rotating } = await ask(round, (security) => security.installKey({ rotates: true }))
      const added = must(rotating, 'the new key')
      await ask(round + 1, (security) => security.useKey(added))
      const after = await ask(round, (security) => security.removeKey(before.primary))
      t.match(after, { primary: added, rotating: null, responses: 5 })
      t.match(after.keys, [{ id: added, installed: 5, used: 5 }])
      for (let host = 0; host < 5; host++) cluster.fileOf(host).certificate = authority.issue()
      await run(5_000)
    }
  })
  t.ok(acknowledged.length > 200, `${acknowledged.length} writes`)
  t.same(failed, [])
  const read = inTurn(4, () => must(nodes[4], 'node').manager.executeQuery('get s'))
  const { rows } = await within(1_000, read)
  t.equal(rows[0]?.[0], acknowledged.map((number) => `,${number}`).join(''))
  t.equal(sum('security', 'certificate_reloads'), 10)
  t.equal(sum('security', 'datagrams_refused_wrong_key'), 0, 'no datagram of the window is lost')
  t.ok(sum('communication', 'connections_renewed') > 10)
  t.equal(sum('topology', 'suspect_count'), 0)
  t.notOk(events.includes('MemberDied'))
})

t.test(
  'X-11 a node is cut when its certificate is taken back, and welcome with another',
  async (t) => {
    const world = await calmTrust(32)
    const { ask, cluster, authority, run, streams, events, nodes } = world
    const victim = must(nodes[2], 'victim')
    const peersOf = (host: number) =>
      streams
        .openEnds(must(nodes[host], 'node').process)
        .map(({ peer }) => 'nodeId' in peer && peer.nodeId)
    t.ok(peersOf(0).includes(victim.manager.nodeId))
    const { acknowledged, failed } = await writing(
      { ...world, nodes: nodes.filter((node) => node !== victim) },
      async () => {
        const list = authority.revoke([cluster.fileOf(2).certificate.serialNumber])
        await ask(0, (security) => security.revoke(list))
        await run(2_000)
        for (const host of [0, 1, 3, 4]) {
          t.notOk(peersOf(host).includes(victim.manager.nodeId), `${hostName(host)} keeps no link`)
        }
        cluster.fileOf(2).certificate = authority.issue()
        await run(10_000)
      }
    )
    t.same(failed, [])
    t.ok(acknowledged.length > 200, `${acknowledged.length} writes`)
    t.ok(peersOf(0).includes(victim.manager.nodeId), 'it is back')
    // Followers hear of the last commit with the next heartbeat.
    await run(1_000)
    const states = nodes.map(({ manager }) => manager.getClusterView().groups[0]?.appliedIndex)
    t.equal(new Set(states).size, 1, 'and has caught up')
    t.ok(events.includes('PeerCut'))
    t.notOk(events.includes('MemberDied'), 'what is cut off from streams is not dead')
  }
)

t.test('seeds in which faults strike meanwhile', async (t) => {
  const sums = {
    revocation: 0,
    links_cut_revoked: 0,
    gossip_key_changes: 0,
    connections_renewed: 0
  }
  for (const seed of seeds) {
    const { violations, faults, features } = await simulate(seed, { nodes: 5, seconds: 10 })
    t.strictSame(violations, [], `seed ${seed}`)
    sums.revocation += faults.revocation
    sums.links_cut_revoked += features.links_cut_revoked
    sums.gossip_key_changes += features.gossip_key_changes
    sums.connections_renewed += features.connections_renewed
  }
  for (const [kind, count] of Object.entries(sums)) t.ok(count > 0, `${kind}: ${count}`)
})

const seeds = [8, 11] as const
