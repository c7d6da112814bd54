import t from 'tap'
import {
  checkListAppend,
  type HistoryEvent,
  pairTransactions
} from '../../../src/checkers/index.js'
import { SplittableRandom } from '../../../src/core/index.js'
import { HistoryWriter } from './history-writer.js'
import { type Plant, plants } from './list-anomalies.js'
import { ListStore } from './list-store.js'

const check = (events: readonly HistoryEvent[]) => checkListAppend(pairTransactions(events))

const goodHistories = 240
const seedsPerPlant = 12

t.test('accepts histories of a database that is strictly serializable', async (t) => {
  let transactions = 0
  for (let seed = 0; seed < goodHistories; seed++) {
    const store = new ListStore(SplittableRandom.fromSeed(seed))
    store.run(300)
    store.finish()
    const { events } = store.history
    transactions += new Set(events.map(({ tx }) => tx)).size
    const { anomalies } = check(events)
    if (anomalies.length > 0) return t.fail(`seed ${seed}: ${JSON.stringify(anomalies[0])}`)
  }
  t.ok(transactions > goodHistories * 50, `${transactions} transactions`)
})

for (const plant of plants) {
  t.test(`finds one ${plant.name} among sound transactions: ${plant.kind}`, async (t) => {
    for (let seed = 0; seed < seedsPerPlant; seed++) {
      const store = new ListStore(SplittableRandom.fromSeed(seed))
      store.run(60 + 20 * seed)
      plant.grow(store.history, 'x', 'y', 'z')
      store.run(60)
      store.finish()
      const { ok, anomalies } = check(store.history.events)
      t.notOk(ok)
      t.ok(anomalies.some(isOf(plant)), `seed ${seed}: ${JSON.stringify(anomalies)}`)
    }
  })

  t.test(`names a lone ${plant.name}`, async (t) => {
    const history = new HistoryWriter()
    plant.grow(history, 'x', 'y', 'z')
    const { anomalies } = check(history.events)
    t.ok(anomalies.some(isOf(plant)), JSON.stringify(anomalies))
    for (const anomaly of anomalies) {
      if (!('steps' in anomaly)) continue
      const ends = anomaly.steps.map(({ to }) => to)
      const begins = anomaly.steps.map(({ from }) => from)
      t.same([...ends.slice(-1), ...ends.slice(0, -1)], begins, 'the steps close a circle')
    }
  })
}

t.test('the number of histories is what the reliability plan asks for', async (t) => {
  t.ok(plants.length * seedsPerPlant >= 200)
})

t.test('J-07 what nobody knows may show later or never, but not come and go', async (t) => {
  const history = new HistoryWriter()
  history.end(history.begin('A', [['append', 'x', 1]]), 'info')
  history.run('B', [['read', 'x']], [[]])
  t.ok(check(history.events).ok, 'not yet')
  history.run('B', [['read', 'x']], [[1]])
  t.ok(check(history.events).ok, 'late')
  history.run('B', [['read', 'x']], [[]])
  t.notOk(check(history.events).ok, 'and gone again')
})

t.test('what cannot be judged is refused', async (t) => {
  const twice = new HistoryWriter()
  twice.run('A', [['append', 'x', 1]])
  twice.run('A', [['append', 'x', 1]])
  t.throws(() => check(twice.events), /appended to x twice/)
  const written = new HistoryWriter()
  written.run('A', [['write', 'x', 1]])
  t.throws(() => check(written.events), /op: t1 does a write/)
  const scalar = new HistoryWriter()
  scalar.run('A', [['read', 'x']], [5])
  t.throws(() => check(scalar.events), /value: t1 reads what is no list/)
  const again = new HistoryWriter()
  again.run('A', [['append', 'x', 1]])
  const renamed = new HistoryWriter()
  renamed.run('B', [['append', 'x', 2]])
  t.throws(() => check([...again.events, ...renamed.events]), /line 3: tx: t1 has ended before/)
  const torn = new HistoryWriter()
  torn.run('A', [
    ['append', 'x', 1],
    ['append', 'y', 1]
  ])
  const half = torn.events.map((event) => (event.key === 'y' ? { ...event, type: 'fail' } : event))
  const events = [...torn.events.slice(0, 3), ...half.slice(3)] as HistoryEvent[]
  t.throws(() => check(events), /tx: t1 ended as ok and as fail/)
})

function isOf({ kind, needs }: Plant) {
  return (anomaly: { readonly kind: string; readonly needs?: string }) =>
    anomaly.kind === kind && (needs === undefined || anomaly.needs === needs)
}
