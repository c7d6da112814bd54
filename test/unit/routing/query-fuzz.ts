import {
  BackpressureError,
  hasCode,
  IndeterminateError,
  NotLeaderError,
  pick,
  SplittableRandom
} from '../../../src/core/index.js'
import { FakeCluster, nodeIds, type Trouble } from './fake-cluster.js'

export interface FuzzOutcome {
  readonly twice: string[]
  readonly missing: string[]
  readonly denied: string[]
  /** Executed in another term than they were routed in. */
  readonly unfenced: string[]
}

/** Writes from three replicas and a router, while leaders change and messages are lost. */
export async function fuzz(seed: number): Promise<FuzzOutcome> {
  const random = SplittableRandom.fromSeed(seed)
  const cluster = new FakeCluster(nodeIds('a', 'b', 'c'), nodeIds('x'))
  const nodes = ['a', 'b', 'c', 'x']
  const acknowledged: string[] = []
  const refused: string[] = []
  const running: Promise<void>[] = []
  for (let i = 0; i < 60; i++) {
    makeTrouble(cluster, random)
    const sql = `INSERT ${i}`
    const timeoutMs = 50 + random.nextInt(3_000)
    const writing = cluster.driver(pick(random, nodes)).execute(sql, { timeoutMs })
    running.push(
      writing.then(
        () => void acknowledged.push(sql),
        (thrown) => {
          if (!hasCode(thrown, 'ERR_SKEIN_INDETERMINATE')) refused.push(sql)
        }
      )
    )
    await cluster.clock.advance(random.nextInt(120))
  }
  await cluster.clock.settle(Promise.all(running))
  const counts = new Map<string, number>()
  for (const sql of cluster.executed) counts.set(sql, (counts.get(sql) ?? 0) + 1)
  return {
    twice: [...counts].filter(([, count]) => count > 1).map(([sql]) => sql),
    missing: acknowledged.filter((sql) => !counts.has(sql)),
    denied: refused.filter((sql) => counts.has(sql)),
    unfenced: cluster.unfenced
  }
}

const troubles: readonly Trouble[] = ['notSent', 'answerLost', 'silence']

function makeTrouble(cluster: FakeCluster, random: SplittableRandom): void {
  const node = pick(random, ['a', 'b', 'c'])
  switch (random.nextInt(8)) {
    case 0:
      cluster.elect(node)
      break
    case 1:
      cluster.elect(null)
      break
    case 2:
      cluster.trouble(node, pick(random, troubles), pick(random, troubles))
      break
    case 3:
      cluster.beliefs.set(
        pick(random, nodeIds('a', 'b', 'c')),
        pick(random, nodeIds('a', 'b', 'c'))
      )
      break
    case 4:
      cluster.beliefs.clear()
      cluster.elect(node)
      break
    case 5:
      cluster.nextWrite.push({
        when: pick(random, ['before', 'after']),
        error: new IndeterminateError('leadership was lost')
      })
      break
    case 6: {
      const error = pick(random, [new BackpressureError('full'), new NotLeaderError('no')])
      cluster.nextWrite.push({ when: 'before', error })
      break
    }
    default:
      cluster.clients.clear()
  }
}

/** Null, or the first seed whose outcome is not what it must be. */
export async function runSeeds(
  seeds: number
): Promise<{ readonly seed: number; readonly reason: string } | null> {
  for (let seed = 1; seed <= seeds; seed++) {
    const outcome = await fuzz(seed)
    const wrong = Object.entries(outcome).filter(([, found]) => found.length > 0)
    const [first] = wrong
    if (first !== undefined) return { seed, reason: `${first[0]}: ${first[1].join(', ')}` }
  }
  return null
}
