import t from 'tap'
import { StartWatch, slowStartIntervalMs } from '../../../lib/start-watch.js'
import { type Logger, silentLogger } from '../../../src/core/index.js'
import { VirtualClock } from '../../support/virtual-clock.js'

t.test('a start that takes long says which step it waits for, as long as it does', async (t) => {
  const clock = new VirtualClock()
  const told: object[] = []
  const logger: Logger = { ...silentLogger, warn: (facts) => void told.push(facts) }
  const watch = new StartWatch(clock, logger)
  await watch.during('reading the log', async () => {})
  await clock.advance(slowStartIntervalMs * 2)
  t.same(told, [], 'a step that is done is not told')

  let open = () => {}
  const opening = watch.during(
    'opening the engines',
    () => new Promise<void>((resolve) => (open = resolve)),
    () => ({ groups: [2, 5] })
  )
  await clock.advance(slowStartIntervalMs * 2.5)
  const waiting = { step: 'opening the engines', groups: [2, 5] }
  t.same(told, [waiting, waiting])
  open()
  await opening
  t.equal(clock.pending, 0)

  const failing = watch.during('listening', () => Promise.reject(new Error('in use')))
  await t.rejects(failing, { message: 'in use' })
  t.equal(clock.pending, 0, 'nor is one that failed')
})
