/** How long the judgement of a long history takes: transactions on lists, and registers. */
import {
  checkLinearizability,
  checkListAppend,
  formatHistory,
  type HistoryEvent,
  pairOperations,
  pairTransactions,
  parseHistory,
  registerModel
} from '../src/checkers/index.js'
import { SplittableRandom } from '../src/core/index.js'
import { type BenchFindings, type BenchRow, rowOf } from './report.js'

const transactions = 100_000
const clients = 20
const runs = 3
/** Of the reliability plan. */
const secondsMax = 30

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  progress(`checkers: ${transactions} transactions on lists`)
  const lists = listHistory(SplittableRandom.fromSeed(1))
  const text = formatHistory(lists)
  const rows: BenchRow[] = []
  rows.push(timed('parse', 'list-append', () => parseHistory(text).length === lists.length))
  rows.push(timed('check', 'list-append', () => checkListAppend(pairTransactions(lists)).ok))
  progress('checkers: registers')
  const registers = registerHistory(SplittableRandom.fromSeed(2))
  rows.push(
    timed('check', 'register', () => {
      const verdict = checkLinearizability(pairOperations(registers), registerModel)
      return verdict.kind === 'accepted'
    })
  )
  const seconds = rows.find((row) => row.case === 'check' && row.subject === 'list-append')
  return {
    rows,
    ratios: { 'check list-append ours/30s': secondsMax / (seconds?.value ?? Number.NaN) },
    skipped: []
  }
}

function timed(name: string, subject: string, work: () => boolean): BenchRow {
  const seconds: number[] = []
  for (let i = 0; i < runs; i++) {
    const startedAt = performance.now()
    if (!work()) throw new Error(`${name} ${subject}: a sound history is rejected`)
    seconds.push((performance.now() - startedAt) / 1_000)
  }
  return rowOf(name, subject, seconds, 's')
}

/** One to four operations each, on lists that are left after 100 appends. */
function listHistory(random: SplittableRandom): HistoryEvent[] {
  const events: HistoryEvent[] = []
  const lists = Array.from({ length: 10 }, (_, i) => ({ key: `k${i}`, elements: [] as number[] }))
  let keys = lists.length
  let appended = 0
  let open: HistoryEvent[][] = []
  for (let t = 0; t < transactions; t++) {
    const done: HistoryEvent[] = []
    for (let lane = 0; lane <= random.nextInt(4); lane++) {
      const at = random.nextInt(lists.length)
      const list = lists[at] as (typeof lists)[number]
      const isRead = random.nextInt(2) === 0
      const op = isRead ? 'read' : 'append'
      const line = { process: `p${t % clients}.${lane}`, op, key: list.key, tx: `t${t}` } as const
      const element = ++appended
      if (!isRead) list.elements.push(element)
      const answer = isRead ? [...list.elements] : element
      events.push({ ...line, type: 'invoke', value: isRead ? null : element })
      done.push({ ...line, type: 'ok', value: answer })
      if (list.elements.length >= 100) lists[at] = { key: `k${keys++}`, elements: [] }
    }
    open.push(done)
    if (open.length < clients) continue
    events.push(...open.flat())
    open = []
  }
  events.push(...open.flat())
  return events
}

/** 100 keys of 500 operations by five clients. */
function registerHistory(random: SplittableRandom): HistoryEvent[] {
  const events: HistoryEvent[] = []
  for (let k = 0; k < 100; k++) {
    let value: number | null = null
    for (let i = 0; i < 100; i++) {
      const done: HistoryEvent[] = []
      for (let client = 0; client < 5; client++) {
        const isRead = random.nextInt(2) === 0
        const written = 5 * i + client
        if (!isRead) value = written
        const line = { process: `p${client}`, op: isRead ? 'read' : 'write', key: `k${k}` } as const
        events.push({ ...line, type: 'invoke', value: isRead ? null : written })
        done.push({ ...line, type: 'ok', value })
      }
      events.push(...done)
    }
  }
  return events
}
