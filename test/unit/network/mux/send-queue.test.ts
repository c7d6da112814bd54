import t from 'tap'
import { SplittableRandom } from '../../../../src/core/index.js'
import { Block } from '../../../../src/network/mux/block.js'
import type { Outgoing } from '../../../../src/network/mux/outgoing.js'
import { Batch } from '../../../../src/network/mux/output.js'
import { SendQueue } from '../../../../src/network/mux/send-queue.js'
import { BufferPool } from '../../../../src/wire/index.js'

const limits = { sendQueueLengthMax: 5_000, sendQueueBytesMax: 64 * 1024 * 1024 }

/** A message of so many frames, each marked with the message's number. */
function message(priority: number, number: number, frameBytes: number, frames = 1) {
  const bytes = new Uint8Array(frameBytes * frames)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < frames; i++) {
    view.setUint32(i * frameBytes, frameBytes - 4)
    view.setUint32(i * frameBytes + 4, number)
  }
  const block = new Block(null)
  block.hold()
  block.seal(bytes)
  const item: Outgoing<null> = {
    block,
    start: 0,
    end: bytes.length,
    at: 0,
    priority,
    request: null,
    frame: null,
    isBound: false,
    payload: null,
    cancelled: false
  }
  return item
}

function drainFrame(queue: SendQueue<null>): Uint8Array | null {
  const batch = new Batch(new BufferPool())
  queue.fill(batch, 1, () => {})
  return batch.sizeBytes === 0 ? null : batch.slice().bytes
}

const numberOf = (frame: Uint8Array): number =>
  new DataView(frame.buffer, frame.byteOffset).getUint32(4)

t.test('under saturation the shares are 8 : 4 : 2 : 1, whatever the frame sizes', async (t) => {
  for (const frameBytes of [64, 1_500, 65_536]) {
    const queue = new SendQueue<null>(limits)
    for (let priority = 0; priority < 4; priority++) {
      const count = Math.ceil(8_000_000 / frameBytes / 10)
      for (let i = 0; i < Math.min(count, 5_000); i++) {
        queue.offer(message(priority, priority, frameBytes))
      }
    }
    const sent = [0, 0, 0, 0]
    const rounds = frameBytes === 64 ? 9_000 : frameBytes === 1_500 ? 600 : 15
    for (let i = 0; i < rounds; i++) {
      const frame = drainFrame(queue)
      if (frame === null) break
      sent[numberOf(frame)] = (sent[numberOf(frame)] ?? 0) + frame.length
    }
    t.ok(sent.every((bytes) => bytes > 0) || frameBytes === 65_536, `${frameBytes}: ${sent}`)
    t.ok((sent[0] ?? 0) >= 1.8 * (sent[1] ?? 0), `${frameBytes}: ${sent}`)
    t.ok((sent[1] ?? 0) >= 1.8 * (sent[2] ?? 0), `${frameBytes}: ${sent}`)
  }
})

t.test('critical passes bulk after one frame, low still gets through critical', async (t) => {
  const queue = new SendQueue<null>(limits)
  queue.offer(message(3, 999, 65_536, 16))
  t.equal(numberOf(drainFrame(queue) as Uint8Array), 999)
  queue.offer(message(0, 1, 64))
  t.equal(numberOf(drainFrame(queue) as Uint8Array), 1)
  for (let i = 0; i < 4_000; i++) queue.offer(message(0, i, 1_000))
  let before = 0
  while (numberOf(drainFrame(queue) as Uint8Array) !== 999) before++
  t.ok(before <= 600, `${before} critical frames before one of bulk`)
})

t.test('each priority keeps its order, and cancelled messages are skipped', async (t) => {
  const random = SplittableRandom.fromSeed(3)
  const queue = new SendQueue<null>(limits)
  const wanted: number[][] = [[], [], [], []]
  for (let number = 0; number < 2_000; number++) {
    const priority = random.nextInt(4)
    const item = message(priority, number, 16 + random.nextInt(300))
    t.ok(queue.offer(item) || t.fail('has room'))
    item.cancelled = random.nextInt(10) === 0
    if (!item.cancelled) wanted[priority]?.push(number)
  }
  const seen: number[] = []
  for (let frame = drainFrame(queue); frame !== null; frame = drainFrame(queue)) {
    seen.push(numberOf(frame))
  }
  for (const numbers of wanted) {
    t.same(
      seen.filter((number) => numbers.includes(number)),
      numbers
    )
  }
  t.ok(queue.isEmpty)
})

t.test('both bounds refuse, answers may pass the count and twice the bytes', async (t) => {
  const byCount = new SendQueue<null>({ sendQueueLengthMax: 2, sendQueueBytesMax: 1_000 })
  t.ok(byCount.offer(message(1, 1, 10)))
  t.ok(byCount.offer(message(1, 2, 10)))
  t.notOk(byCount.offer(message(1, 3, 10)))
  t.ok(byCount.offer(message(2, 3, 10)), 'each priority has its own')
  t.ok(byCount.force(message(1, 4, 1_980)))
  t.notOk(byCount.force(message(1, 5, 10)))
  t.same(
    byCount.takeUnsent().map((item) => item.priority),
    [1, 1, 1, 2]
  )
  t.ok(byCount.isEmpty)
})
