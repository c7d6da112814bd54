/**
 * Where the time of one client's durable put goes: medians of 2,000 of them through three processes
 * with mutual TLS, cut at what the nodes note as a put passes. All of them are one after the other,
 * but for the leader's own write of its log, which goes on beside the followers'. The follower is
 * the one that answered first.
 *
 * What is noted costs a few microseconds a put. About a minute. `BENCH_PUTS` (2,000),
 * `BENCH_WARM_UP_MS` (15,000).
 */
import { join } from 'node:path'
import { withDirectory } from './query/alone.js'
import { load } from './query/load.js'
import { engineNames } from './raft/engine.js'
import { type Mark, marksMax, type Stage, sharedNowMs } from './raft/marks.js'
import { OurCluster } from './raft/ours.js'
import { type BenchFindings, type BenchRow, rowOf } from './report.js'

const puts = Math.min(Number(process.env.BENCH_PUTS ?? 2_000), marksMax / 16)
const warmUpMs = Number(process.env.BENCH_WARM_UP_MS ?? 15_000)
const sizeBytes = 256
const keys = 10_000

interface Span {
  readonly begunMs: number
  readonly endedMs: number
}

/** Microseconds of one put, by what it passed. */
type Cut = ReadonlyMap<string, number>

export function run(progress: (line: string) => void): Promise<BenchFindings> {
  return withDirectory(async (directory) => {
    const rows: BenchRow[] = []
    for (const engine of [engineNames.keyValue, engineNames.sqlite]) {
      progress(`stages: ${engine}`)
      const cluster = await OurCluster.start(join(directory, engine), engine, true)
      try {
        rows.push(...(await measure(cluster)))
      } finally {
        await cluster.stop()
      }
    }
    return { rows, ratios: {}, skipped: [] }
  })
}

async function measure(cluster: OurCluster): Promise<BenchRow[]> {
  await cluster.connect(1)
  const value = new Uint8Array(sizeBytes).fill(120)
  let next = 0
  const put = () => cluster.put(0, `key-${next++ % keys}`, value)
  await load(1, warmUpMs, put)
  await cluster.takeMarks()
  const spans: Span[] = []
  for (let i = 0; i < puts; i++) {
    const begunMs = sharedNowMs()
    await put()
    spans.push({ begunMs, endedMs: sharedNowMs() })
  }
  const { leader, followers } = await cluster.takeMarks()
  const cuts = spans.flatMap((span) => {
    const cut = cutOf(span, leader, followers)
    return cut === null ? [] : [cut]
  })
  const names = [...(cuts[0]?.keys() ?? [])]
  return names.map((name) =>
    rowOf(
      name,
      cluster.name,
      cuts.map((cut) => cut.get(name) ?? Number.NaN),
      'us'
    )
  )
}

/** Null: an election or a batch of others came in between. */
function cutOf(
  { begunMs, endedMs }: Span,
  leader: readonly Mark[],
  followers: readonly (readonly Mark[])[]
): Cut | null {
  const at = (marks: readonly Mark[], stage: Stage, fromMs: number): number => {
    const found = marks[firstFrom(marks, fromMs, stage)]
    return found === undefined || found.atMs > endedMs ? Number.NaN : found.atMs
  }
  const plan = at(leader, 'plan', begunMs)
  const planned = at(leader, 'planned', plan)
  const sent = at(leader, 'append sent', planned)
  const written = at(leader, 'log write', planned)
  const durable = at(leader, 'log durable', written)
  const apply = at(leader, 'apply', durable)
  const applied = at(leader, 'applied', apply)
  const answers = followers.map((marks) => {
    const write = at(marks, 'log write', sent)
    const done = at(marks, 'log durable', write)
    return { write, done, answered: at(marks, 'answer sent', done) }
  })
  const [first] = answers.sort((a, b) => a.answered - b.answered)
  if (first === undefined) return null
  const times: [string, number, number][] = [
    ['client: encoded, sent; leader: received, routed', begunMs, plan],
    ['leader: planned by the engine', plan, planned],
    ['leader: proposed, appends queued', planned, sent],
    ['sent, received by a follower', sent, first.write],
    ['follower: log written and synced', first.write, first.done],
    ['follower: durable to answered', first.done, first.answered],
    ['answer received, committed', first.answered, apply],
    ['leader: applied', apply, applied],
    ['leader: answered; client: received', applied, endedMs],
    ['beside: leader’s log written and synced', written, durable],
    ['whole', begunMs, endedMs]
  ]
  if (times.some(([, from, to]) => Number.isNaN(to - from))) return null
  return new Map(times.map(([name, from, to]) => [name, (to - from) * 1_000]))
}

/** The index of the first mark of a stage at that time or later; marks are in order of time. */
function firstFrom(marks: readonly Mark[], fromMs: number, stage: Stage): number {
  let [low, high] = [0, marks.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((marks[middle]?.atMs ?? Number.POSITIVE_INFINITY) < fromMs) low = middle + 1
    else high = middle
  }
  while (low < marks.length && marks[low]?.stage !== stage) low++
  return low
}
