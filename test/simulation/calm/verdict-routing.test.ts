import t from 'tap'
import { type HealthVerdict, must, type NodeId } from '../../../src/core/index.js'
import { calmCluster } from './calm-cluster.js'

const size = 5
/** Few pings, so that what was measured before is soon forgotten. */
const health = { windowLengthMax: 10 }

/**
 * Routed in turn, which looks at no latency: a node that is left out is left out for its verdict
 * alone. One follower asks, the path between it and another one is made bad.
 */
async function askedInTurn(seed: number) {
  const { cluster, links, run, time } = calmCluster(seed, size, { health })
  cluster.start()
  await run(8_000)
  const nodes = cluster.startedNodes()
  const ids = cluster.nodeIds()
  const first = must(nodes[0], 'first')
  const leader = must(first.manager.explainRoute('set k v').decision, 'a leader').node
  const hosts = ids.map((_, host) => host).filter((host) => ids[host] !== leader)
  const [asking, other] = hosts as [number, number]
  const { manager, process } = must(nodes[asking], 'who asks')
  const target = must(ids[other], 'whose path is made bad')
  const verdicts: HealthVerdict[] = []
  const events = manager.subscribeToEvents()
  void (async () => {
    for await (const event of events) {
      if (event.type === 'HealthVerdictChanged' && event.verdict.nodeId === target) {
        verdicts.push(event.verdict)
      }
    }
  })()
  manager.setRoutingStrategy('round-robin')
  /** How many of so many reads each node answered. */
  const read = async (reads: number) => {
    const answered = new Map<NodeId, number>()
    for (let i = 0; i < reads; i++) {
      time.post(time.now, 'query', process, () => {
        manager.executeQuery('get k').then(
          ({ node }) => answered.set(node, (answered.get(node) ?? 0) + 1),
          (error: unknown) => t.fail(`${error}`)
        )
      })
      await run(100)
    }
    await run(1_000)
    return answered
  }
  const untilVerdict = async (status: HealthVerdict['status']) => {
    for (let i = 0; i < 120 && verdicts.at(-1)?.status !== status; i++) await run(1_000)
    return must(verdicts.at(-1), `a verdict ${status}`)
  }
  const exclusion = () => {
    const { candidates } = manager.explainRoute('get k')
    return must(
      candidates.find(({ node }) => node === target),
      'the target'
    ).exclusion
  }
  const stop = () => events.close()
  return { asking, exclusion, links, manager, other, read, stop, target, untilVerdict }
}

type World = Awaited<ReturnType<typeof askedInTurn>>

const scenarios: readonly {
  readonly status: 'degraded' | 'unreachable'
  readonly words: RegExp
  readonly harm: (world: World) => void
  readonly mend: (world: World) => void
}[] = [
  {
    status: 'degraded',
    words: /^degraded by health checks: /,
    harm: ({ links, asking, other }) => {
      links.lengthen(asking, other, 500)
      links.lengthen(other, asking, 500)
    },
    mend: ({ links, asking, other }) => {
      links.lengthen(asking, other, 0)
      links.lengthen(other, asking, 0)
    }
  },
  {
    status: 'unreachable',
    words: /^does not answer health checks: /,
    harm: ({ links, asking, other }) => {
      links.cut(asking, other, { kind: 'partition', streams: 'held' })
      links.cut(other, asking, { kind: 'partition', streams: 'held' })
    },
    mend: ({ links }) => links.healAll()
  }
]

for (const { status, words, harm, mend } of scenarios) {
  t.test(`a verdict “${status}” sends reads elsewhere, and back after recovery`, async (t) => {
    const world = await askedInTurn(3)
    t.teardown(world.stop)
    const { exclusion, manager, read, target, untilVerdict } = world
    const reads = 50
    const fair = reads / size
    t.equal(exclusion(), null)
    t.equal((await read(reads)).get(target), fair, 'in turn')

    harm(world)
    t.match(await untilVerdict(status), { nodeId: target, status })
    t.match(exclusion(), words, 'the explanation names the verdict')
    const elsewhere = await read(reads)
    t.equal(elsewhere.get(target), undefined, 'it gets no read')
    t.equal(
      [...elsewhere.values()].reduce((sum, count) => sum + count, 0),
      reads
    )
    const decided = manager.routing.lastDecisions().slice(-reads)
    for (const { decision, candidates } of decided) {
      const its = must(
        candidates.find(({ node }) => node === target),
        'the target'
      ).exclusion
      if (decision?.node === target || !words.test(its ?? '')) t.fail(`${its}`)
    }

    mend(world)
    t.match(await untilVerdict('healthy'), { nodeId: target })
    t.equal(exclusion(), null)
    t.equal((await read(reads)).get(target), fair, 'in turn again')
  })
}
