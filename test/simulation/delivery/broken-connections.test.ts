import t from 'tap'
import { looksAtAll } from '../../support/thoroughness.js'
import { Breaks, exchange } from './exchange.js'
import { sweeps } from './sweep.js'

/** Primes, so that the bytes looked at differ from frame to frame. */
const stride = looksAtAll ? 23 : 119

t.test(
  'a connection broken at any byte of fifty messages: once, in order, truly told',
  async (t) => {
    for await (const { what, reliability, direction, ...told } of sweeps(stride)) {
      const name = `${what}, ${reliability}, what the ${direction} sends`
      t.strictSame(told.faults, [], name)
      t.ok(told.exchanges >= 50, `${name}: ${told.exchanges} exchanges`)
      const isKilled = what === Breaks.ReceiverRestarts || what === Breaks.SenderRestarts
      if (isKilled) t.ok(told.outcomes.ERR_SKEIN_INDETERMINATE, `${name}: some are not known`)
      else t.ok(told.duplicates > 0 && told.retries > 0, `${name}: some come twice`)
    }
  }
)

t.test('an exchange that nothing breaks repeats nothing', async (t) => {
  for (const reliability of ['acked', 'ordered'] as const) {
    const plan = { what: Breaks.Reset, direction: 'dialler', reliability } as const
    const told = await exchange({ ...plan, atByte: Number.POSITIVE_INFINITY })
    t.same([told.outcomes, told.duplicates, told.retries], [{ ok: 50 }, 0, 0])
  }
})
