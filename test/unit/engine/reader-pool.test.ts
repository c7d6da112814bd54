import t from 'tap'
import { after } from '../../../src/core/deadlines.js'
import type { LogIndex, MonotonicMs } from '../../../src/core/ids.js'
import { silentLogger } from '../../../src/core/ports/logger.js'
import type {
  ChannelHandlers,
  ChannelOpener,
  EngineCall
} from '../../../src/engine/sqlite/channel.js'
import { resolveSettings } from '../../../src/engine/sqlite/options.js'
import { ReaderPoolDriver } from '../../../src/engine/sqlite/reader-pool-driver.js'
import { VirtualClock } from '../../support/virtual-clock.js'

/** Readers that answer what they are let, and may end. */
class FakeReaders {
  readonly handlers: ChannelHandlers[] = []
  answers = true

  readonly open: ChannelOpener = (_, handlers) => {
    this.handlers.push(handlers)
    return {
      post: (calls: readonly EngineCall[]) => {
        if (this.answers) handlers.onReplies(calls.map(({ id }) => ({ id, value: undefined })))
      },
      kill: async () => true
    }
  }
}

function pool() {
  const clock = new VirtualClock()
  const readers = new FakeReaders()
  const settings = resolveSettings({ readers: 1, deadlineGraceMs: 10, abandonedReadersMax: 1 })
  const components = { clock, logger: silentLogger, openChannel: readers.open }
  return { clock, readers, driver: new ReaderPoolDriver(components, settings) }
}

t.test('a reader that is replaced before it has opened is not waited for', async (t) => {
  const { clock, readers, driver } = pool()
  await driver.open(1)
  await driver.suspend()
  readers.answers = false
  const resuming = driver.resume()
  const deadline = after(clock.now(), 100) as MonotonicMs
  const reading = driver.read([{ sql: 'SELECT 1' }], { atLeastIndex: 0 as LogIndex, deadline })
  await clock.settle(reading)
  readers.answers = true
  await clock.settle(resuming)
  t.equal(readers.handlers.length, 3, 'another has taken its place')
})

t.test('a reader that ends while it opens fails the opening', async (t) => {
  const { clock, readers, driver } = pool()
  readers.answers = false
  const opening = driver.open(1)
  readers.handlers[0]?.onExit('out of memory')
  await t.rejects(clock.settle(opening), { code: 'ERR_SKEIN_ENGINE_FAILED' })
  await driver.close()
})
