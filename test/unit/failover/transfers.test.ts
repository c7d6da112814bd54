import t from 'tap'
import type { FileOffer, StateSync } from '../../../src/core/state-sync.js'
import {
  fileOffer,
  fileTransfer,
  fileTransferChunk
} from '../../../src/failover/state-transfer/messages.js'
import { nodeCrypto } from '../../../src/runtime/index.js'
import {
  flipped,
  node,
  randomBytes,
  reasonOf,
  StateSyncWorld,
  type SyncNode
} from '../../support/state-sync-world.js'

const chunkBytes = 4_096
const digestOf = (byte: number) => new Uint8Array(32).fill(byte)

async function pair(seed: number, config: ConstructorParameters<typeof StateSyncWorld>[1] = {}) {
  const world = new StateSyncWorld(seed, { chunkBytes, ...config })
  const [a, b] = world.start('a', 'b') as [SyncNode, SyncNode]
  const content = randomBytes(world.random, 40 * chunkBytes + 77)
  await a.put('goose', content)
  return { world, a, b, content }
}

t.test('a file is fetched whole, its progress is told, its end is an event', async (t) => {
  const { world, a, b, content } = await pair(1)
  const progress: number[] = []
  const fetched = b.sync.fetchFile(node('a'), 'goose', {
    as: 'gander',
    onProgress: ({ doneBytes }) => progress.push(doneBytes)
  })
  t.equal(await world.outcome(fetched), 'done')
  t.same(await b.read('gander'), content)
  t.same(await b.list('files-incoming'), [])
  t.match(await fetched, {
    direction: 'in',
    peer: 'a',
    file: 'goose',
    sizeBytes: content.length,
    doneBytes: content.length,
    resumedBytes: 0,
    failure: null
  })
  t.same(
    progress,
    [...progress].sort((x, y) => x - y)
  )
  t.same([...new Set(progress)].length, 42, 'none, and each chunk')
  t.same(
    b.events.map(({ type }) => type),
    ['TransferStarted', 'TransferEnded']
  )
  await world.clock.advance(1_000)
  t.match(a.sync.transfers(), [{ direction: 'out', peer: 'b', state: 'done' }])
  t.match(a.sync.metrics(), { chunks_sent: 41, chunk_bytes_sent: content.length })
  t.match(b.sync.metrics(), { chunks_received: 41, transfers_completed: 1, transfers_active: 0 })
})

t.test('an empty file, one of a byte, one of whole chunks alone', async (t) => {
  const { world, a, b } = await pair(2)
  for (const length of [0, 1, chunkBytes, 3 * chunkBytes]) {
    const content = randomBytes(world.random, length)
    await a.put(`f${length}`, content)
    t.equal(await world.outcome(b.sync.fetchFile(node('a'), `f${length}`)), 'done')
    t.same(await b.read(`f${length}`), content)
  }
})

t.test('what stands there already is not moved again', async (t) => {
  const { world, b } = await pair(3)
  await world.outcome(b.sync.fetchFile(node('a'), 'goose'))
  const again = b.sync.fetchFile(node('a'), 'goose')
  t.equal(await world.outcome(again), 'done')
  t.equal((await again).resumedBytes, (await again).sizeBytes)
  t.equal(b.sync.metrics().chunks_received, 41)
})

t.test('each flipped bit costs one more chunk, and nothing else', async (t) => {
  const { world, a, b, content } = await pair(4)
  let flips = 0
  world.tamper = (_to, chunk) => {
    if (chunk.chunk % 5 !== 3 || flips >= 8) return chunk
    flips++
    return flipped(chunk, flips * 1_237)
  }
  t.equal(await world.outcome(b.sync.fetchFile(node('a'), 'goose')), 'done')
  t.same(await b.read('goose'), content)
  t.equal(flips, 8)
  t.match(b.sync.metrics(), { chunks_damaged: 8, chunks_received: 41, chunks_duplicate: 0 })
  await world.clock.advance(1_000)
  t.equal(a.sync.metrics().chunks_sent, 41 + 8)
})

t.test('a file is sent to whom takes it, under the name that it is given there', async (t) => {
  const { world, a, b, content } = await pair(5)
  const offers: FileOffer[] = []
  b.sync.acceptFiles((offer) => {
    offers.push(offer)
    return 'taken'
  })
  const sent = a.sync.sendFile(node('b'), 'goose')
  t.equal(await world.outcome(sent), 'done')
  t.same(await b.read('taken'), content)
  t.match(offers, [{ from: 'a', file: 'goose', sizeBytes: content.length }])
  t.match(await sent, { direction: 'out', peer: 'b', doneBytes: content.length })
  t.equal(a.sync.transfers().length, 1, 'one transfer, not two')
  t.match(a.sync.metrics(), { transfers_started: 1, transfers_completed: 1, transfers_active: 0 })
})

t.test(
  'X-39 files are refused that nobody takes, or whose name would lead elsewhere',
  async (t) => {
    const { world, a, b } = await pair(6)
    const refused = 'ERR_SKEIN_FILE_TRANSFER refused'
    t.equal(await world.outcome(a.sync.sendFile(node('b'), 'goose')), refused)
    const answers = [null, '../goose', '/goose', '.goose', 'a/b', `~state-${'0'.repeat(32)}`, 'a\0']
    for (const answer of answers) {
      b.sync.acceptFiles(() => answer)
      t.equal(await world.outcome(a.sync.sendFile(node('b'), 'goose')), refused, `${answer}`)
    }
    b.sync.acceptFiles(() => {
      throw new Error('no')
    })
    t.equal(await world.outcome(a.sync.sendFile(node('b'), 'goose')), refused)
    for (const name of ['../goose', '/etc/passwd', '', '.x']) {
      const invalid = 'ERR_SKEIN_INVALID_ARGUMENT'
      t.equal(await world.outcome(a.sync.sendFile(node('b'), name)), invalid)
      t.equal(await world.outcome(b.sync.fetchFile(node('a'), name)), invalid)
      t.equal(await world.outcome(b.sync.fetchFile(node('a'), 'goose', { as: name })), invalid)
    }
    t.same(await b.list('files'), [])
    t.equal(await world.outcome(b.sync.fetchFile(node('a'), 'duck')), 'ERR_SKEIN_NOT_FOUND')
  }
)

t.test('X-39 names, digests and chunks straight from the wire', async (t) => {
  const { world, b } = await pair(7)
  b.sync.acceptFiles(({ file }) => file)
  const evil = world.network.join(node('evil'))
  const ask = (to: string, file: string) =>
    evil.request(
      node(to),
      fileTransfer,
      { transfer: 'x', file, sha256: null, firstChunk: 0, have: new Uint8Array(0), chunkBytes },
      { deadline: 1e9 as never }
    )
  const codeOf = (asked: Promise<unknown>) =>
    world.clock.settle(
      asked.then(
        () => 'ok',
        (error) => reasonOf(error)
      )
    )
  for (const file of ['../../secret', '/etc/passwd', '.', 'a/b', 'a\0b']) {
    t.equal(await codeOf(ask('a', file)), 'ERR_SKEIN_NOT_FOUND')
    const offer = { offer: file, file, sizeBytes: 1, sha256: digestOf(1), cancelled: false }
    const offered = evil.request(node('b'), fileOffer, offer, { deadline: 1e9 as never })
    t.match(await world.clock.settle(offered), { state: 'refused' })
  }
  const noDigest = new Uint8Array(0)
  const offer = { offer: 'o', file: 'f', sizeBytes: 1, sha256: noDigest, cancelled: false }
  const offered = evil.request(node('b'), fileOffer, offer, { deadline: 1e9 as never })
  t.match(await world.clock.settle(offered), { state: 'refused', reason: /digest/ })
  let answer = { sizeBytes: 1, chunks: 1, chunkBytes, sha256: noDigest }
  evil.onRequest(fileTransfer, async () => answer)
  const fromEvil = () => world.outcome(b.sync.fetchFile(node('evil'), 'x'))
  t.equal(await fromEvil(), 'ERR_SKEIN_FILE_TRANSFER outOfBounds')
  answer = { ...answer, sizeBytes: Number.MAX_SAFE_INTEGER, sha256: digestOf(1) }
  t.equal(await fromEvil(), 'ERR_SKEIN_FILE_TRANSFER tooLarge')
  t.same(await b.list('files-incoming'), [])
  const fetched = b.sync.fetchFile(node('a'), 'goose')
  await world.clock.until(() => b.sync.metrics().chunks_received > 3)
  const { id } = b.sync.transfers().at(-1) as { id: string }
  const data = new Uint8Array(chunkBytes)
  const chunk = { transfer: id, chunk: 40, offset: 0, data, sha256: digestOf(0), last: true }
  const second = evil.request(node('b'), fileTransferChunk, chunk, { deadline: 1e9 as never })
  t.equal(await codeOf(second), 'ERR_SKEIN_NOT_FOUND', 'one writer alone')
  t.equal(await world.outcome(fetched), 'done')
  t.equal(await codeOf(ask('a', 'goose')), 'ok')
})

t.test(
  'X-39 chunks beyond the end, of another length or without end fail the transfer',
  async (t) => {
    for (const [what, change] of [
      ['offset', (chunk: { offset: number }) => ({ ...chunk, offset: chunk.offset + 1 })],
      ['far', (chunk: { chunk: number }) => ({ ...chunk, chunk: 4_000_000 })],
      ['length', (chunk: { data: Uint8Array }) => ({ ...chunk, data: chunk.data.subarray(1) })],
      ['last', (chunk: object) => ({ ...chunk, last: true })]
    ] as const) {
      const { world, b } = await pair(8)
      world.tamper = (_to, chunk) => (chunk.chunk === 7 ? (change(chunk) as typeof chunk) : chunk)
      const fetched = b.sync.fetchFile(node('a'), 'goose')
      t.equal(await world.outcome(fetched), 'ERR_SKEIN_FILE_TRANSFER outOfBounds', what)
      t.same(await b.list('files'), [])
    }
  }
)

t.test('X-39 a whole with another digest than was named is not put on the shelf', async (t) => {
  const { world, b } = await pair(9, { giveUpAfterMs: 60_000 })
  const { sha256 } = nodeCrypto()
  // Sound by its own digest, and of another file.
  world.tamper = (_to, chunk) => {
    if (chunk.chunk !== 5) return chunk
    const { data } = flipped(chunk, 99)
    return { ...chunk, data, sha256: sha256(data) }
  }
  const fetched = b.sync.fetchFile(node('a'), 'goose')
  t.equal(await world.outcome(fetched), 'ERR_SKEIN_FILE_TRANSFER changing')
  t.same(await b.list('files'), [])
  t.same(await b.list('files-incoming'), [], 'nothing of it is worth going on with')
})

t.test('a file that becomes another on its way is fetched as the other', async (t) => {
  const { world, a, b } = await pair(10)
  const fetched = b.sync.fetchFile(node('a'), 'goose')
  await world.clock.until(() => b.sync.metrics().chunks_received > 10)
  const other = randomBytes(world.random, 20 * chunkBytes)
  await a.put('goose', other)
  world.breakConnection(a, b)
  t.equal(await world.outcome(fetched), 'done')
  t.same(await b.read('goose'), other)
})

t.test('a cancelled transfer ends at both ends, and the next goes on where it was', async (t) => {
  const { world, a, b, content } = await pair(11)
  const stop = new AbortController()
  const fetched = b.sync.fetchFile(node('a'), 'goose', { signal: stop.signal })
  await world.clock.until(() => b.sync.metrics().chunks_received >= 20)
  stop.abort()
  t.equal(await world.outcome(fetched), 'ERR_SKEIN_CANCELLED')
  t.match(b.sync.transfers(), [{ state: 'cancelled' }])
  await world.clock.until(() => a.sync.transfers().every(({ endedAt }) => endedAt !== null))
  const before = b.sync.metrics().chunks_received
  const again = b.sync.fetchFile(node('a'), 'goose')
  t.equal(await world.outcome(again), 'done')
  t.same(await b.read('goose'), content)
  t.ok((await again).resumedBytes >= 20 * chunkBytes)
  t.equal(b.sync.metrics().chunks_received, 41, `${before} before, each chunk once`)

  b.sync.acceptFiles(({ file }) => `${file}-2`)
  const second = new AbortController()
  world.tamper = (_to, chunk) => (chunk.chunk > 10 ? null : chunk)
  const sent = a.sync.sendFile(node('b'), 'goose', { signal: second.signal })
  await world.clock.until(() => b.sync.metrics().chunks_received >= 41 + 11)
  second.abort()
  t.equal(await world.outcome(sent), 'ERR_SKEIN_CANCELLED')
  await world.clock.until(() => b.sync.transfers().every(({ endedAt }) => endedAt !== null))
  const aborted = new AbortController()
  aborted.abort()
  const never = b.sync.fetchFile(node('a'), 'goose', { as: 'never', signal: aborted.signal })
  t.equal(await world.outcome(never), 'ERR_SKEIN_CANCELLED')
})

t.test('a throttled node sends no more than its rate, and a new rate holds at once', async (t) => {
  const { world, a, b, content } = await pair(12, { bytesPerSecond: 10_000 })
  const started = world.clock.now()
  const fetched = b.sync.fetchFile(node('a'), 'goose')
  await world.clock.until(() => b.sync.metrics().chunks_received >= 10)
  const took = world.clock.now() - started
  t.ok(took >= ((10 - 2) * chunkBytes * 1_000) / 10_000, `${took} ms for ten chunks`)
  const { sync } = a
  sync.reconfigure({ ...world.resolved(), bytesPerSecond: 1_000_000 })
  const changed = world.clock.now()
  t.equal(await world.outcome(fetched), 'done')
  t.ok(world.clock.now() - changed < 2_000, 'and then it is fast')
  t.same(await b.read('goose'), content)
})

t.test('who waits long for its turn and asks again keeps it', async (t) => {
  const config = { bytesPerSecond: 8_000, stallTimeoutMs: 500, chunksInFlightMax: 4 }
  const { world, a, b } = await pair(17, config)
  const files = ['one', 'two', 'three']
  for (const file of files) await a.put(file, randomBytes(world.random, 10 * chunkBytes))
  const fetched = Promise.all(files.map((file) => b.sync.fetchFile(node('a'), file)))
  const states = (await world.clock.settle(fetched, 600_000)).map(({ state }) => state)
  t.same(states, ['done', 'done', 'done'])
  t.match(b.sync.metrics(), { chunks_received: 30, chunks_duplicate: 0 })
  const fairMs = (30 * chunkBytes * 1_000) / 8_000
  t.ok(world.clock.now() < 1.2 * fairMs, `${world.clock.now()} ms, ${fairMs} at best`)
})

t.test('bounds: so many files at a time come, and are sent', async (t) => {
  const { world, a, b } = await pair(13, { transfersMax: 2, transfersServedMax: 1 })
  await a.put('duck', randomBytes(world.random, 10 * chunkBytes))
  const both = [b.sync.fetchFile(node('a'), 'goose'), b.sync.fetchFile(node('a'), 'duck')]
  const third = b.sync.fetchFile(node('a'), 'duck', { as: 'third' })
  t.equal(await world.outcome(third), 'ERR_SKEIN_BACKPRESSURE')
  const done = Promise.all(both)
  t.same(
    (await world.clock.settle(done)).map(({ state }) => state),
    ['done', 'done'],
    'one waits for the other'
  )
  const same = [
    b.sync.fetchFile(node('a'), 'goose', { as: 'one' }),
    b.sync.fetchFile(node('a'), 'goose', { as: 'one' })
  ] as const
  const outcomes = same.map((fetched) => fetched.then(() => 'done', reasonOf))
  t.same(await world.clock.settle(Promise.all(outcomes)), ['done', 'ERR_SKEIN_FILE_TRANSFER busy'])
})

t.test('a receiver that was started anew is offered the file again, and goes on', async (t) => {
  const { world, a, b, content } = await pair(14)
  b.prepare = (sync: StateSync) => sync.acceptFiles(({ file }) => file)
  b.prepare(b.sync)
  const sent = a.sync.sendFile(node('b'), 'goose')
  await world.clock.until(() => b.sync.metrics().chunks_received >= 15)
  b.crash()
  await world.clock.advance(500)
  b.start()
  t.equal(await world.outcome(sent), 'done')
  t.same(await b.read('goose'), content)
  t.ok(b.sync.metrics().chunks_received <= 41 - 15)
  t.equal(b.sync.metrics().files_resumed, 1)
})

t.test(
  'L-05 a node that is gone is asked ever more seldom, and found when it is back',
  async (t) => {
    const { world, a, b, content } = await pair(15)
    world.network.isolate(node('a'))
    const fetched = b.sync.fetchFile(node('a'), 'goose')
    a.crash()
    await world.clock.until(() => b.sync.breakers().length === 1, 600_000)
    t.match(b.sync.breakers(), [{ nodeId: 'a', state: 'open' }])
    const { breaker_openings: openings } = b.sync.metrics()
    t.equal(openings, 1)
    await world.clock.advance(60_000)
    t.ok(b.sync.metrics().breaker_openings <= 12, 'a dozen tries in a minute')
    world.network.heal()
    a.start()
    t.equal(await world.outcome(fetched), 'done')
    t.same(await b.read('goose'), content)
    t.match(b.sync.metrics(), { breakers_open: 0 })
    t.same(b.sync.breakers(), [])
  }
)

t.test('a node that stops ends what is under way', async (t) => {
  const { world, a, b } = await pair(16)
  const fetched = b.sync.fetchFile(node('a'), 'goose')
  await world.clock.until(() => b.sync.metrics().chunks_received > 5)
  const outcome = world.outcome(fetched)
  await world.clock.settle(b.sync.stop())
  t.equal(await outcome, 'ERR_SKEIN_STOPPED')
  t.equal(await world.outcome(b.sync.fetchFile(node('a'), 'goose')), 'ERR_SKEIN_STOPPED')
  await world.clock.settle(a.sync.stop())
  t.equal(await world.outcome(a.sync.sendFile(node('b'), 'goose')), 'ERR_SKEIN_STOPPED')
})
