/** Sets, counters and banks: histories of sound ones, and of ones with one fault. */
import t from 'tap'
import {
  checkBankHistory,
  checkCounters,
  checkSetFull,
  type HistoryValue,
  pairOperations,
  pairTransactions
} from '../../../src/checkers/index.js'
import { pick, SplittableRandom } from '../../../src/core/index.js'
import { HistoryWriter, type Step } from './history-writer.js'

const seeds = Array.from({ length: 210 }, (_, seed) => seed)
const accounts = ['a', 'b', 'c']

t.test('a set: every element is seen from its acknowledgement on', async (t) => {
  for (const seed of seeds) {
    const { history, elements } = grownSet(seed)
    t.ok(checkSetFull(pairOperations(history.events)).ok, `seed ${seed}`)
    const victim = pick(SplittableRandom.fromSeed(seed), elements)
    const without = elements.filter((element) => element !== victim)
    const name = `set/${victim}`
    const verdict = (...lists: HistoryValue[][]) => {
      const longer = new HistoryWriter(history.events)
      for (const list of lists) longer.run('late', [['read', 'set']], [list])
      return checkSetFull(pairOperations(longer.events))
    }
    t.strictSame(verdict(without).lost, [name])
    t.match(verdict(without, elements), { ok: false, lost: [], stale: [name] })
    t.match(verdict([...elements, 'z']), { ok: false, unexpected: ['set/z'] })
    t.match(verdict([...elements, victim]), { ok: false, duplicated: [name] })
  }
})

t.test('a set that is not read at the end proves nothing of its last elements', async (t) => {
  const history = new HistoryWriter()
  history.run('a', [['append', 'set', 'x']])
  t.match(checkSetFull(pairOperations(history.events)), { ok: false, unread: ['set/x'] })
  history.fail('a', [['append', 'set', 'y']])
  history.run('a', [['read', 'set']], [['x', 'y']])
  t.match(checkSetFull(pairOperations(history.events)), {
    unread: [],
    unexpected: ['set/y']
  })
})

t.test('a counter is between what is surely and what may be added', async (t) => {
  for (const seed of seeds) {
    const random = SplittableRandom.fromSeed(seed)
    const history = new HistoryWriter()
    let sum = 0
    const lost: number[] = []
    for (let i = 0; i < 20; i++) {
      const amount = random.nextInt(21) - 10
      const open = history.begin(`p${i}`, [['append', 'n', amount]])
      const outcome = pick(random, ['ok', 'ok', 'fail', 'info'] as const)
      if (outcome === 'info') lost.push(amount)
      if (outcome === 'ok') sum += amount
      history.end(open, outcome)
      history.run('reader', [['read', 'n']], [sum])
    }
    const extreme = lost.filter((amount) => amount > 0).reduce((a, b) => a + b, sum)
    history.run('reader', [['read', 'n']], [extreme])
    t.same(checkCounters(pairOperations(history.events)), [], `seed ${seed}`)
    history.run('reader', [['read', 'n']], [extreme + 1])
    t.match(checkCounters(pairOperations(history.events)), [{ read: extreme + 1, max: extreme }])
  }
})

t.test('a bank: sheets add up, and balances come from the transfers', async (t) => {
  for (const seed of seeds) {
    const { history, balances } = grownBank(seed)
    const judge = (sheet: Readonly<Record<string, number>>) => {
      const longer = new HistoryWriter(history.events)
      longer.run(
        'late',
        sheetSteps,
        accounts.map((account) => sheet[account] ?? null)
      )
      return checkBankHistory(pairTransactions(longer.events))
    }
    t.match(judge(balances), { ok: true, faults: [] }, `seed ${seed}`)
    const { a = 0, b = 0, c = 0 } = balances
    t.match(judge({ a: a - 1, b, c }).faults[0], { kind: 'sheet', fault: { kind: 'total' } })
    t.match(judge({ a: a + 1, b: b - 1, c }).faults[0], { kind: 'balance', fault: { key: 'a' } })
    t.match(judge({ a: -1, b: b + a + 1, c }).faults[0], { fault: { kind: 'negative' } })
    t.match(judge({ a, b }).faults[0], { fault: { kind: 'accounts', account: 'c' } })
  }
  t.throws(() => checkBankHistory([]), /nobody opens accounts/)
})

const sheetSteps = accounts.map((account): Step => ['read', account])

function grownSet(seed: number): { history: HistoryWriter; elements: string[] } {
  const random = SplittableRandom.fromSeed(seed)
  const history = new HistoryWriter()
  const elements: string[] = []
  for (let i = 0; i < 25; i++) {
    const element = `e${i}`
    const open = history.begin(`p${i}`, [['append', 'set', element]])
    const outcome = pick(random, ['ok', 'ok', 'ok', 'fail', 'info'] as const)
    const isDone = outcome === 'ok' || (outcome === 'info' && random.nextInt(2) === 0)
    const reader = history.begin('reader', [['read', 'set']])
    const before = [...elements]
    if (isDone) elements.push(element)
    history.end(open, outcome)
    history.end(reader, 'ok', [random.nextInt(2) === 0 ? before : [...elements]])
  }
  history.run('reader', [['read', 'set']], [[...elements]])
  return { history, elements }
}

function grownBank(seed: number) {
  const random = SplittableRandom.fromSeed(seed)
  const history = new HistoryWriter()
  const balances: Record<string, number> = Object.fromEntries(accounts.map((name) => [name, 100]))
  history.run(
    'opening',
    accounts.map((account): Step => ['write', account, 100])
  )
  for (let i = 0; i < 25; i++) {
    const from = pick(random, accounts)
    const to = pick(
      random,
      accounts.filter((account) => account !== from)
    )
    const amount = 1 + random.nextInt(10)
    const open = history.begin('teller', [
      ['append', from, -amount],
      ['append', to, amount]
    ])
    const isDone = (balances[from] ?? 0) >= amount
    if (isDone) {
      balances[from] = (balances[from] ?? 0) - amount
      balances[to] = (balances[to] ?? 0) + amount
    }
    history.end(open, isDone ? 'ok' : 'fail')
    history.run(
      'reader',
      sheetSteps,
      accounts.map((account) => balances[account] ?? null)
    )
  }
  return { history, balances }
}
