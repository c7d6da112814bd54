import t from 'tap'
import {
  checkBank,
  checkSet,
  formatHistory,
  type HistoryEvent,
  pairOperations,
  parseHistory
} from '../../../src/checkers/index.js'

const invoke: HistoryEvent = { process: 'a', type: 'invoke', op: 'cas', key: 'k', value: [1, 'x'] }

t.test('a history survives its text', async (t) => {
  const lost: HistoryEvent = { ...invoke, type: 'info', code: 'ERR_SKEIN_INDETERMINATE' }
  const events: HistoryEvent[] = [invoke, { ...invoke, type: 'info' }, lost]
  t.strictSame(parseHistory(formatHistory(events)), events)
  t.strictSame(parseHistory('{"process":3,"type":"invoke","op":"read","key":7}\n\n'), [
    { process: '3', type: 'invoke', op: 'read', key: '7', value: null }
  ])
})

t.test('bad lines are refused by number', async (t) => {
  const good = formatHistory([invoke])
  for (const line of [
    'nonsense',
    '[]',
    '{"process":"a","type":"done","op":"read","key":"k"}',
    '{"process":"a","type":"ok","op":"delete","key":"k"}',
    '{"process":"a","type":"ok","op":"read","key":"k","value":{}}',
    '{"process":"a","type":"fail","op":"read","key":"k","code":7}'
  ]) {
    t.throws(() => parseHistory(good + line), {
      code: 'ERR_SKEIN_INVALID_ARGUMENT',
      message: /line 2/
    })
  }
})

t.test('processes that overlap themselves, or go on after info, are refused', async (t) => {
  t.throws(() => pairOperations([invoke, invoke]), /overlaps/)
  t.throws(() => pairOperations([invoke, { ...invoke, type: 'info' }, invoke]), /after info/)
  t.throws(() => pairOperations([{ ...invoke, type: 'ok' }]), /never invoked/)
})

t.test('pairs: failed ones vanish, open ones are of unknown outcome', async (t) => {
  const open: HistoryEvent = { ...invoke, process: 'b', op: 'write', value: 4 }
  const operations = pairOperations([invoke, open, { ...invoke, type: 'fail' }])
  t.match(operations, [{ process: 'b', input: 4, completedAt: Number.POSITIVE_INFINITY }])
  t.equal(operations.length, 1)
})

t.test('set: lost, unexpected and doubled elements are told apart', async (t) => {
  const verdict = checkSet({
    acknowledged: ['a', 'b'],
    indeterminate: ['c', 'd'],
    found: ['a', 'c', 'x', 'a']
  })
  t.strictSame(verdict, {
    ok: false,
    lost: ['b'],
    unexpected: ['x'],
    duplicated: ['a'],
    recoveredCount: 1
  })
  t.ok(checkSet({ acknowledged: ['a'], indeterminate: ['b'], found: ['b', 'a'] }).ok)
})

t.test('bank: sums, signs and accounts', async (t) => {
  const options = { total: 10, accounts: ['a', 'b'] }
  t.strictSame(checkBank([{ a: 4, b: 6 }], options), [])
  t.strictSame(
    checkBank(
      [
        { a: 4, b: 6 },
        { a: 4, b: 5 }
      ],
      options
    ),
    [{ kind: 'total', sheet: 1, total: 9 }]
  )
  t.strictSame(checkBank([{ a: -1, b: 11 }], options), [
    { kind: 'negative', sheet: 0, account: 'a' }
  ])
  t.strictSame(checkBank([{ a: -1, b: 11 }], { ...options, mayBeNegative: true }), [])
  t.strictSame(checkBank([{ a: 10, c: 0 }], options), [
    { kind: 'accounts', sheet: 0, account: 'b' },
    { kind: 'accounts', sheet: 0, account: 'c' }
  ])
})
