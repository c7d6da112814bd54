import t from 'tap'
import { RaftDriver } from '../../../../src/consensus/group/raft-driver.js'
import type { RaftMessage } from '../../../../src/consensus/messages.js'
import type { Raft } from '../../../../src/consensus/raft/raft.js'
import type { RaftEvent, RaftPersist } from '../../../../src/consensus/raft/types.js'
import { NEVER } from '../../../../src/core/deadlines.js'
import { EffectsBuffer } from '../../../../src/core/effects.js'
import type { MonotonicMs } from '../../../../src/core/ids.js'
import { VirtualClock } from '../../../support/virtual-clock.js'

/** A core that does what the test puts into it. */
function makeDriver() {
  const clock = new VirtualClock()
  const buffer = new EffectsBuffer<RaftMessage, RaftPersist, RaftEvent>()
  const trace: string[] = []
  const persisting: { resolve: () => void; reject: (error: Error) => void }[] = []
  let deadline: MonotonicMs = NEVER
  const core = {
    receive: (message: { run: () => void }) => message.run(),
    handleTimeout: () => trace.push('timeout'),
    handlePersisted: (sequence: number) => trace.push(`persisted ${sequence}`),
    handlePeerUnreachable: (peer: string) => trace.push(`unreachable ${peer}`),
    handleNotSent: ({ to }: RaftMessage) => trace.push(`not sent to ${to}`),
    drain: () => buffer.drain(),
    nextDeadline: () => deadline
  }
  const driver = new RaftDriver({
    clock,
    raft: core as unknown as Raft,
    log: {
      persist: () =>
        new Promise((resolve, reject) => {
          persisting.push({ resolve, reject })
        })
    },
    send: (message) => {
      trace.push(`send ${message.kind}`)
      return message.to !== 'gone'
    },
    onEvent: ({ type }) => trace.push(type),
    onFailed: (error) => trace.push(`failed ${(error as Error).message}`)
  })
  driver.start()
  const step = (run: () => void) => driver.receive({ run } as unknown as RaftMessage)
  const message = (kind: string, to = 'b') => ({ kind, to }) as unknown as RaftMessage
  const persist = (sequence: number) =>
    buffer.mergePersist(() => ({ sequence }) as unknown as RaftPersist)
  const setDeadline = (at: number) => {
    deadline = at as MonotonicMs
  }
  return { clock, buffer, trace, persisting, driver, step, message, persist, setDeadline }
}

t.test('R-P01 R-P02 what must follow persistence waits for it and all before it', async (t) => {
  const { buffer, trace, persisting, step, message, persist, clock } = makeDriver()
  step(() => {
    persist(1)
    buffer.send(message('now'))
    buffer.sendAfterPersist(message('after1'))
  })
  step(() => {
    persist(2)
    buffer.sendAfterPersist(message('after2'))
  })
  step(() => buffer.sendAfterPersist(message('after2too')))
  t.same(trace, ['send now'])
  persisting[1]?.resolve()
  await clock.advance(1)
  t.same(trace, ['send now'], 'the second is durable, the first is not')
  persisting[0]?.resolve()
  await clock.advance(1)
  t.same(trace.slice(1), [
    'persisted 1',
    'send after1',
    'persisted 2',
    'send after2',
    'send after2too'
  ])
  step(() => buffer.sendAfterPersist(message('free')))
  t.equal(trace.at(-1), 'send free')
})

t.test('R-P11 after a failed persist nothing is sent any more, and it is told once', async (t) => {
  const { buffer, trace, persisting, step, message, persist, clock } = makeDriver()
  step(() => {
    persist(1)
    buffer.sendAfterPersist(message('ack'))
  })
  step(() => persist(2))
  persisting[0]?.reject(new Error('EIO'))
  persisting[1]?.reject(new Error('EIO'))
  await clock.advance(1)
  step(() => buffer.send(message('late')))
  t.same(trace, ['failed EIO'])
})

t.test('an invariant that breaks in the core stops the replica', async (t) => {
  const { trace, step, buffer, message } = makeDriver()
  step(() => {
    throw new Error('broken')
  })
  step(() => buffer.send(message('late')))
  t.same(trace, ['failed broken'])
})

t.test('one timer follows the deadline of the core', async (t) => {
  const { trace, step, setDeadline, clock, driver } = makeDriver()
  step(() => setDeadline(50))
  step(() => setDeadline(80))
  await clock.advance(60)
  t.same(trace, [])
  setDeadline(200)
  await clock.advance(30)
  t.same(trace, ['timeout'])
  driver.stop()
  await clock.advance(500)
  t.same(trace, ['timeout'])
})

t.test('the core hears of a message that was not taken', async (t) => {
  const { trace, step, buffer, message } = makeDriver()
  step(() => buffer.send(message('hello', 'gone')))
  step(() => buffer.send(message('appendEntries', 'gone')))
  t.same(trace, ['send hello', 'unreachable gone', 'send appendEntries', 'not sent to gone'])
})
