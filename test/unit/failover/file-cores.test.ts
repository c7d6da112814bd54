import t from 'tap'
import type { MonotonicMs } from '../../../src/core/ids.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { ChunkMap, chunkSpan } from '../../../src/failover/state-transfer/chunk-map.js'
import {
  type ArrivedChunk,
  FileReceiver
} from '../../../src/failover/state-transfer/file-receiver.js'
import { FileSender } from '../../../src/failover/state-transfer/file-sender.js'

const at = (ms: number) => ms as MonotonicMs
const options = {
  stallTimeoutMs: 1_000,
  giveUpAfterMs: 60_000,
  pauseMinMs: 100,
  pauseMaxMs: 5_000,
  refusalsMax: 8,
  restartsMax: 3,
  verificationsMax: 4
}
const sizeBytes = 1_050
const chunkBytes = 100
const facts = { sizeBytes, sha256: new Uint8Array(32).fill(1) }

const create = (seed = 1) => new FileReceiver(SplittableRandom.fromSeed(seed), options, at(0))

function describe(receiver: FileReceiver, now = 0): ChunkMap {
  const map = new ChunkMap(11)
  receiver.handleAsking()
  receiver.handleDescribed(facts, chunkBytes, map, at(now))
  return map
}

function chunkAt(chunk: number, isSound = true): ArrivedChunk {
  const { offset, length } = chunkSpan(chunk, sizeBytes, chunkBytes)
  return { chunk, offset, lengthBytes: length, last: chunk === 10, isSound }
}

t.test('a receiver asks what the file is, then for it, then checks it', async (t) => {
  const receiver = create()
  t.same(receiver.step(at(0)), { kind: 'ask' })
  receiver.handleAsking()
  t.equal(receiver.step(at(0)).kind, 'wait')
  const map = describe(receiver)
  t.same(receiver.step(at(0)), { kind: 'ask' })
  receiver.handleAsking()
  receiver.handleBegun(at(0))
  for (let chunk = 0; chunk < 11; chunk++) {
    t.same(receiver.step(at(chunk)), { kind: 'wait', until: Math.max(0, chunk - 1) + 1_000 })
    t.equal(receiver.judge(chunkAt(chunk), at(chunk)), 'write')
    t.equal(receiver.doneBytes, chunk * 100)
    receiver.handleWritten(chunk, at(chunk))
    t.equal(receiver.judge(chunkAt(chunk), at(chunk)), 'duplicate')
  }
  t.ok(map.isComplete)
  t.equal(receiver.doneBytes, sizeBytes)
  t.same(receiver.step(at(20)), { kind: 'verify' })
  receiver.handleUnsound([4, 10], at(20))
  t.equal(receiver.doneBytes, sizeBytes - 150)
  t.same(receiver.step(at(20)), { kind: 'ask' }, 'for what is unsound, alone')
  t.same(
    [4, 10].map((chunk) => map.has(chunk)),
    [false, false]
  )
})

t.test('X-39 what lies outside the file ends the transfer', async (t) => {
  const good = chunkAt(3)
  const bad: ArrivedChunk[] = [
    { ...good, chunk: 11, offset: 1_100 },
    { ...good, chunk: 4_294_967_295 },
    { ...good, chunk: -1 },
    { ...good, offset: 301 },
    { ...good, offset: 1e9 },
    { ...good, lengthBytes: 99 },
    { ...good, lengthBytes: 101 },
    { ...good, lengthBytes: 0 },
    { ...good, last: true },
    { ...chunkAt(10), last: false },
    { ...chunkAt(10), lengthBytes: 100 }
  ]
  for (const chunk of bad) {
    const receiver = create()
    const map = describe(receiver)
    t.equal(receiver.judge(chunk, at(0)), 'outOfBounds', JSON.stringify(chunk))
    t.same(receiver.step(at(0)), { kind: 'fail', fault: 'outOfBounds' })
    t.equal(map.present, 0)
  }
  t.equal(create().judge(good, at(0)), 'outOfBounds', 'nothing was asked for yet')
})

t.test('a silent sender is asked again, ever more seldom, and given up at last', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const receiver = create(seed)
    describe(receiver)
    const asks: number[] = []
    let now = 0
    for (;;) {
      const step = receiver.step(at(now))
      if (step.kind === 'wait') now = step.until
      else if (step.kind === 'ask') {
        asks.push(now)
        receiver.handleAsking()
        receiver.handleBegun(at(now))
      } else {
        t.same(step, { kind: 'fail', fault: 'stalled' })
        break
      }
    }
    t.equal(now, 60_000)
    const pauses = asks.slice(1).map((ask, i) => ask - (asks[i] as number) - 1_000)
    for (const [i, pause] of pauses.entries()) {
      const full = Math.min(100 * 2 ** i, 5_000)
      t.ok(pause >= full / 2 && pause <= full, `pause ${i}: ${pause}`)
    }
  }
})

t.test('a chunk that is written after its connection broke is no sign of a sender', async (t) => {
  const receiver = create()
  describe(receiver)
  receiver.handleAsking()
  receiver.handleBegun(at(0))
  t.equal(receiver.judge(chunkAt(0), at(10)), 'write')
  receiver.handleLost(at(20))
  receiver.handleWritten(0, at(30))
  t.equal(receiver.judge(chunkAt(1), at(35)), 'write', 'it was on its way')
  receiver.handleWritten(1, at(40))
  t.same(receiver.step(at(200)), { kind: 'ask' }, 'and the sender is asked at once')
})

t.test('damaged chunks are asked for again until there are too many in a row', async (t) => {
  const receiver = create()
  describe(receiver)
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 7; j++) t.equal(receiver.judge(chunkAt(0, false), at(i)), 'damaged')
    t.equal(receiver.judge(chunkAt(1), at(i)), i === 0 ? 'write' : 'duplicate')
    if (i === 0) receiver.handleWritten(1, at(i))
  }
  t.equal(receiver.damaged, 140)
  for (let j = 0; j < 8; j++) receiver.judge(chunkAt(0, false), at(200))
  t.same(receiver.step(at(200)), { kind: 'fail', fault: 'damaged' })
})

t.test('a file that is another each time, or never reads as it came, is given up', async (t) => {
  const changing = create()
  let now = 0
  for (let restarts = 0; ; restarts++) {
    describe(changing, now)
    changing.handleChanged(at(now))
    const step = changing.step(at(now))
    if (step.kind === 'fail') {
      t.equal(restarts, 3)
      t.equal(step.fault, 'changing')
      break
    }
    t.equal(step.kind, 'wait', 'not at once')
    now += 5_000
  }
  const unsound = create()
  describe(unsound)
  for (let i = 0; i < 4; i++) unsound.handleUnsound([0], at(0))
  t.same(unsound.step(at(0)), { kind: 'fail', fault: 'unsound' })
})

t.test(
  'an answer that says when to ask again is heeded, a new connection is not waited for',
  async (t) => {
    const receiver = create()
    receiver.handleAsking()
    receiver.handleAskFailed(at(0), 7_000)
    t.same(receiver.step(at(0)), { kind: 'wait', until: 7_000 })
    receiver.handleConnected(at(100))
    t.same(receiver.step(at(100)), { kind: 'ask' })
  }
)

t.test('a run sends what is missing, once, within its window, in order', async (t) => {
  const random = SplittableRandom.fromSeed(7)
  for (let round = 0; round < 60; round++) {
    const count = random.nextInt(60)
    const have = new ChunkMap(count)
    for (let chunk = 0; chunk < count; chunk++) if (random.nextInt(2) === 0) have.add(chunk)
    const missing = Array.from({ length: count }, (_, chunk) => chunk).filter((c) => !have.has(c))
    const sender = new FileSender(have, { refusalsMax: 8 })
    const window = 1 + random.nextInt(5)
    const sent: number[] = []
    const inFlight: number[] = []
    const refused = new Map<number, number>()
    while (!sender.isDone) {
      for (let next = sender.next(window); next !== null; next = sender.next(window)) {
        inFlight.push(next)
        sent.push(next)
        t.ok(inFlight.length <= window)
      }
      t.equal(sender.inFlight, inFlight.length)
      const [chunk] = inFlight.splice(random.nextInt(inFlight.length), 1) as [number]
      const times = refused.get(chunk) ?? 0
      if (times < 3 && random.nextInt(4) === 0) {
        refused.set(chunk, times + 1)
        sender.handleRefused(chunk)
      } else sender.handleTaken(chunk)
    }
    t.notOk(sender.isBroken)
    const refusals = [...refused.values()].reduce((sum, times) => sum + times, 0)
    t.equal(sent.length, missing.length + refusals, 'one sending more for each refusal')
    t.same([...new Set(sent)], missing, 'in rising order')
  }
})

t.test('a run ends when an outcome is unknown, or a chunk is refused too often', async (t) => {
  const broken = new FileSender(new ChunkMap(3), { refusalsMax: 2 })
  t.equal(broken.next(2), 0)
  t.equal(broken.next(2), 1)
  t.equal(broken.next(2), null, 'the window is full')
  broken.handleFailed(0)
  t.equal(broken.next(2), null)
  broken.handleTaken(1)
  t.ok(broken.isBroken)
  t.notOk(broken.isDone)
  const refused = new FileSender(new ChunkMap(1), { refusalsMax: 2 })
  refused.next(1)
  refused.handleRefused(0)
  t.equal(refused.next(1), 0)
  refused.handleRefused(0)
  t.ok(refused.isBroken)
  t.ok(new FileSender(new ChunkMap(0), { refusalsMax: 2 }).isDone, 'an empty file is sent')
})
