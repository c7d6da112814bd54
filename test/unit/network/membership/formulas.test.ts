import fc from 'fast-check'
import t from 'tap'
import {
  expectedConfirmations,
  pushPullDelayMs,
  retransmitLimit,
  suspicionMinMs,
  suspicionTimeoutMs
} from '../../../../src/network/membership/formulas.js'

t.test('S-07: a suspicion shrinks with confirmations as published', async (t) => {
  const timeout = (confirmations: number) =>
    suspicionTimeoutMs({ minMs: 2_000, maxMs: 30_000, expected: 3, confirmations })
  t.equal(timeout(0), 30_000)
  t.equal(timeout(1), 16_000)
  t.equal(Math.round(timeout(2) / 10), 781)
  t.equal(timeout(3), 2_000)
  t.equal(timeout(9), 2_000)
})

t.test('suspicion and retransmits by the number of members, as in the table', async (t) => {
  const rows: [number, number, number][] = [
    [3, 4, 4],
    [5, 4, 4],
    [10, 4, 8],
    [30, 5.9, 8],
    [100, 8, 12],
    [300, 9.9, 12],
    [1_000, 12, 16]
  ]
  const config = { suspicionMult: 4, probeTimeoutMs: 500, suspicionFloorMs: 0 }
  for (const [n, minSeconds, retransmits] of rows) {
    t.equal(Math.round(suspicionMinMs(config, n) / 100) / 10, minSeconds, `minimum at ${n}`)
    t.equal(suspicionMinMs({ ...config, suspicionFloorMs: 13_000 }, n), 13_000, 'the floor')
    t.equal(retransmitLimit(4, n), retransmits, `retransmits at ${n}`)
  }
})

t.test('nobody is waited for who cannot confirm', async (t) => {
  t.same(
    [1, 2, 3, 4, 5, 100].map((n) => expectedConfirmations(4, n)),
    [0, 0, 0, 2, 2, 2]
  )
  t.equal(expectedConfirmations(1, 100), 0)
  t.equal(suspicionTimeoutMs({ minMs: 5, maxMs: 30, expected: 0, confirmations: 0 }), 5)
})

t.test('push/pull is stretched in large clusters', async (t) => {
  t.same(
    [1, 32, 33, 64, 65, 128, 1_000].map((n) => pushPullDelayMs(30, n)),
    [30, 30, 60, 60, 90, 90, 180]
  )
})

/** By repeated comparison instead of logarithms. */
function dumbRetransmitLimit(mult: number, n: number): number {
  let digits = 0
  for (let power = 1; power < n + 1; power *= 10) digits++
  return mult * digits
}

t.test('the arithmetic agrees with its dumb twin', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 20_000 }),
      (mult, n) => retransmitLimit(mult, n) === dumbRetransmitLimit(mult, n)
    ),
    { seed: 7 }
  )
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 8 }),
      (minMs, factor, expected) => {
        const maxMs = minMs * factor
        let before = Number.POSITIVE_INFINITY
        for (let confirmations = 0; confirmations <= expected + 2; confirmations++) {
          const ms = suspicionTimeoutMs({ minMs, maxMs, expected, confirmations })
          if (ms > before || ms < minMs || ms > maxMs) return false
          before = ms
        }
        return before === minMs
      }
    ),
    { seed: 8 }
  )
  t.pass('held on random input')
})
