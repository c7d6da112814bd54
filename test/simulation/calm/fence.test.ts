import t from 'tap'
import { must, type NodeId, type QueryOptions } from '../../../src/core/index.js'
import { calmCluster } from './calm-cluster.js'

interface Answer {
  /** Null: answered. */
  readonly code: string | null
  readonly value: unknown
  readonly host: number
}

async function isolatedPair(seed: number) {
  const { cluster, links, run, time } = calmCluster(seed, 5, {})
  cluster.start()
  await run(5_000)
  const nodes = cluster.startedNodes()
  const ids = cluster.nodeIds()
  const hostOf = (node: NodeId | null) => (node === null ? -1 : ids.indexOf(node))
  const leaderSeenBy = (host: number) => {
    const { decision } = must(nodes[host], 'node').manager.explainRoute('set k v')
    return hostOf(decision?.node ?? null)
  }
  const ask = (host: number, sql: string, options: QueryOptions = {}) => {
    const { manager, process } = must(nodes[host], 'node')
    return new Promise<Answer>((resolve) => {
      time.post(time.now, 'query', process, () => {
        manager.executeQuery(sql, { timeoutMs: 2_000, ...options }).then(
          ({ rows, node }) => resolve({ code: null, value: rows[0]?.[0], host: hostOf(node) }),
          (error: { code: string }) => resolve({ code: error.code, value: null, host: -1 })
        )
      })
    })
  }
  /** Lets time pass until it is answered. */
  const answered = async (asked: Promise<Answer>): Promise<Answer> => {
    const answers: Answer[] = []
    void asked.then((answer) => answers.push(answer))
    for (let i = 0; i < 200 && answers.length === 0; i++) await run(50)
    return must(answers[0], 'an answer within ten seconds')
  }
  const old = leaderSeenBy(0)
  const router = (old + 1) % 5
  const others = [2, 3, 4].map((i) => (old + i) % 5)
  const cutOff = () => {
    for (const here of [old, router]) {
      for (const there of others) {
        links.cut(here, there, { kind: 'partition', streams: 'lost' })
        links.cut(there, here, { kind: 'partition', streams: 'lost' })
      }
    }
  }
  return { answered, ask, cutOff, leaderSeenBy, links, nodes, old, others, router, run }
}

t.test('a router cut off with an old leader neither writes nor reads what is stale', async (t) => {
  const world = await isolatedPair(23)
  const { answered, ask, router, old, others } = world
  t.equal(world.nodes.length, 5)
  t.ok(old >= 0)
  t.same(await answered(ask(router, 'set k before')), { code: null, value: undefined, host: old })
  world.cutOff()
  t.equal(world.leaderSeenBy(router), old, 'it still believes in the old leader')
  const write = ask(router, 'set k lost')
  const read = ask(router, 'get k')
  const refusedWrite = await answered(write)
  const refusedRead = await answered(read)
  t.match(refusedWrite.code, /^ERR_SKEIN_(INDETERMINATE|NO_QUORUM|NO_LEADER)$/)
  t.match(refusedRead.code, /^ERR_SKEIN_(NO_QUORUM|NO_LEADER|TIMEOUT)$/)
  await world.run(10_000)
  const elected = world.leaderSeenBy(must(others[0], 'other'))
  t.ok(others.includes(elected), 'the others elected one of theirs')
  t.equal((await answered(ask(elected, 'set k after'))).code, null)
  for (const host of [router, old]) {
    const fresh = await answered(ask(host, 'get k'))
    t.match(fresh.code, /^ERR_SKEIN_(NO_QUORUM|NO_LEADER|TIMEOUT)$/, 'nothing stale')
    const again = await answered(ask(host, 'set k again'))
    t.match(again.code, /^ERR_SKEIN_(NO_QUORUM|NO_LEADER)$/, 'certain that nothing was written')
    t.match(
      await answered(ask(host, 'get k', { consistency: 'local' })),
      { code: null },
      'asked to be local'
    )
  }
  world.links.healAll()
  await world.run(5_000)
  t.equal(world.leaderSeenBy(router), world.leaderSeenBy(elected), 'it knows the new leader')
  t.equal((await answered(ask(router, 'get k'))).value, 'after')
  t.match(await answered(ask(router, 'set k healed')), {
    code: null,
    host: world.leaderSeenBy(elected)
  })
  t.equal((await answered(ask(old, 'get k'))).value, 'healed')
})
