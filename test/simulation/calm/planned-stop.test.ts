/**
 * What a client sees of a planned stop, by the order of messages alone: every way takes 1 ms and
 * every sync 1 ms, and nothing else takes any time. Prints when each stage came.
 */
import t from 'tap'
import { SkeinClient } from '../../../lib/client.js'
import { CONTROL_GROUP, DEFAULT_GROUP, must, silentLogger } from '../../../src/core/index.js'
import { nodeCrypto } from '../../../src/runtime/index.js'
import { OutsideClient } from '../../../src/simulation/outside-client.js'
import { calmCluster } from './calm-cluster.js'

const latencyMs = 1
const even = { latencyMs, syncMs: 1 }
const watchedMs = 250
const stopsAfterMs = 100
/** From the last answer of the old leader to the first of the new one. */
const pauseMsMax = 10

async function underWrites(seed: number) {
  const world = calmCluster(seed, 3, {}, { even })
  const { cluster, random, run, streams, time } = world
  cluster.start()
  await run(5_000)
  const client = new OutsideClient(
    {
      time,
      random: random.split('client'),
      streams,
      crypto: nodeCrypto(),
      connect: (init) => SkeinClient.connect(init),
      logger: silentLogger
    },
    { name: 'app', host: 0, addresses: cluster.addresses() }
  )
  client.start()
  await run(1_000)
  const answers: number[] = []
  const failures: string[] = []
  const write = (at: number) =>
    time.post(at, 'write', client.process, () => {
      client.query(`set k ${at}`, DEFAULT_GROUP, 5_000).then(
        () => answers.push(time.now),
        (error: unknown) => failures.push(`${error}`)
      )
    })
  // It has its id, and knows whom to ask.
  write(time.now)
  await run(1_000)
  answers.length = 0
  return { ...world, client, write, answers, failures }
}

/** The longest time between two of them: when it begins and ends. */
function longestGapOf(times: readonly number[]): { readonly from: number; readonly to: number } {
  let gap = { from: 0, to: 0 }
  for (const [i, to] of times.entries()) {
    const from = times[i - 1] ?? to
    if (to - from > gap.to - gap.from) gap = { from, to }
  }
  return gap
}

t.test('L-07 a planned stop is a pause of a few round trips and syncs', async (t) => {
  for (const seed of [3, 4]) {
    const { answers, cluster, failures, run, time, write } = await underWrites(seed)
    const begun = time.now
    for (let ms = 0; ms < watchedMs; ms++) write(begun + ms)
    const leader = must(
      cluster
        .startedNodes()
        .find(({ manager }) =>
          manager
            .getClusterView()
            .groups.some(({ group, role }) => group === DEFAULT_GROUP && role === 'leader')
        ),
      'leader'
    )
    const stages: string[] = []
    const stoppedAt = begun + stopsAfterMs
    for (const { manager, process } of cluster.startedNodes()) {
      void (async () => {
        for await (const event of manager.subscribeToEvents()) {
          if (event.type !== 'RoleChanged' || event.group === CONTROL_GROUP) continue
          stages.push(`${(time.now - stoppedAt).toFixed(1)} ${process.name}: ${event.role}`)
        }
      })()
    }
    time.post(stoppedAt, 'stop', leader.process, () => void leader.manager.stop({ drain: true }))
    await run(watchedMs + 200)
    const { from, to } = longestGapOf(answers)
    const since = (at: number) => `${(at - stoppedAt).toFixed(1)} ms`
    t.comment(`${leader.process.name} stops; last answer at ${since(from)}; ${stages.join('; ')}`)
    t.comment(`next answer at ${since(to)}`)
    t.same(failures, [])
    t.equal(answers.length, watchedMs)
    t.ok(to - from <= pauseMsMax, `${to - from} ms`)
  }
})
