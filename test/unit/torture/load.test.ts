import t from 'tap'
import { SplittableRandom } from '../../../src/core/index.js'
import { Ledger } from '../../torture/ledger.js'
import { Load } from '../../torture/load.js'
import { Recorder } from '../../torture/recorder.js'
import type { CallOutcome, TortureClient } from '../../torture/torture-client.js'
import { listAppendWorkload } from '../../torture/workloads.js'

/** What comes of a load whose every call is answered so. */
async function recorded(outcome: CallOutcome) {
  const [recorder, ledger] = [new Recorder(), new Ledger()]
  let enough = () => {}
  const called = new Promise<void>((resolve) => {
    enough = resolve
  })
  let callsLeft = 6
  const client: TortureClient = {
    call: () => {
      if (--callsLeft === 0) enough()
      return Promise.resolve(outcome)
    }
  }
  const parts = { recorder, ledger, clients: [client] }
  const load = new Load(parts, [listAppendWorkload()], SplittableRandom.fromSeed(1))
  load.start(1)
  await called
  await load.stop()
  const ended = recorder.events.filter(({ type }) => type !== 'invoke')
  const writers = new Set(ended.filter(({ op }) => op === 'append').map(({ tx }) => tx))
  return { ledger, appends: ended.filter(({ tx }) => writers.has(tx)) }
}

t.test('J-02 a write is told by what became of it, with its code', async (t) => {
  const code = 'ERR_SKEIN_RESULT_NOT_KEPT'
  const executed = await recorded({ kind: 'executed', code })
  t.ok(executed.appends.length > 0)
  t.ok(executed.appends.every((event) => event.type === 'info' && event.code === code))
  t.ok(executed.ledger.count('ok') > 0, 'it must be there at the end')
  t.equal(executed.ledger.count('fail') + executed.ledger.count('info'), 0)
  const unknown = await recorded({ kind: 'info', code })
  t.ok(unknown.appends.every(({ type }) => type === 'info'))
  t.equal(unknown.ledger.count('ok') + unknown.ledger.count('fail'), 0)
  const undone = await recorded({ kind: 'fail', code })
  t.ok(undone.appends.every((event) => event.type === 'fail' && event.code === code))
  t.equal(undone.ledger.count('ok') + undone.ledger.count('info'), 0)
})
