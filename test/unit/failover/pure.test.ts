import t from 'tap'
import type { MonotonicMs, NodeId, WallMs } from '../../../src/core/ids.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import type { ServiceState, VersionVector } from '../../../src/core/state-sync.js'
import { ChunkMap, chunkCount, chunkSpan } from '../../../src/failover/state-transfer/chunk-map.js'
import { isFileName, isServedName } from '../../../src/failover/state-transfer/file-name.js'
import { keptOf } from '../../../src/failover/state-transfer/merge-strategy.js'
import { TokenBucket } from '../../../src/failover/state-transfer/token-bucket.js'
import {
  advanced,
  compareVersions,
  fromWireVersion,
  joinVersions,
  toWireVersion
} from '../../../src/failover/state-transfer/version-vector.js'

const at = (ms: number) => ms as MonotonicMs

t.test('a chunk map is a set of numbers, and so is what it tells of itself', async (t) => {
  const random = SplittableRandom.fromSeed(1)
  for (let round = 0; round < 50; round++) {
    const count = random.nextInt(70)
    const map = new ChunkMap(count)
    const twin = new Set<number>()
    for (let step = 0; step < count * 2; step++) {
      const chunk = random.nextInt(count)
      const isAdded = random.nextInt(3) > 0
      const was = twin.has(chunk)
      t.equal(isAdded ? map.add(chunk) : map.remove(chunk), isAdded ? !was : was)
      if (isAdded) twin.add(chunk)
      else twin.delete(chunk)
    }
    const all = Array.from({ length: count }, (_, chunk) => chunk)
    const missing = all.filter((chunk) => !twin.has(chunk))
    t.equal(map.present, twin.size)
    t.equal(map.firstMissing, missing[0] ?? count)
    t.equal(map.isComplete, missing.length === 0)
    const from = random.nextInt(count + 1)
    t.equal(map.nextMissing(from), missing.find((chunk) => chunk >= from) ?? null)
    const bytesMax = 1 + random.nextInt(8)
    const { firstChunk, have } = map.toHave(bytesMax)
    t.ok(have.length <= bytesMax)
    const told = ChunkMap.fromHave(count, firstChunk, have)
    const end = firstChunk + bytesMax * 8
    for (const chunk of all) t.equal(told.has(chunk), twin.has(chunk) && chunk < end)
  }
})

t.test('chunks cover a file once and whole', async (t) => {
  const random = SplittableRandom.fromSeed(2)
  for (let round = 0; round < 80; round++) {
    const sizeBytes = random.nextInt(10_000)
    const chunkBytes = 1 + random.nextInt(4_000)
    const count = chunkCount(sizeBytes, chunkBytes)
    let covered = 0
    for (let chunk = 0; chunk < count; chunk++) {
      const { offset, length } = chunkSpan(chunk, sizeBytes, chunkBytes)
      t.equal(offset, covered)
      t.ok(length > 0 && length <= chunkBytes)
      covered += length
    }
    t.equal(covered, sizeBytes)
  }
})

t.test(
  'X-39 a name is one part of a path, and nothing that a system reads more into',
  async (t) => {
    for (const name of ['a', 'backup-2026.tar.gz', 'A_1', `${'x'.repeat(128)}`]) {
      t.ok(isFileName(name), name)
    }
    const bad = [
      '',
      '.',
      '..',
      '../etc/passwd',
      '/etc/passwd',
      'a/b',
      'a\\b',
      'C:x',
      '.hidden',
      '-rf',
      'a\0b',
      'a b',
      'a\n',
      'é',
      '~state-00',
      'x'.repeat(129)
    ]
    for (const name of bad) t.notOk(isFileName(name), JSON.stringify(name))
    t.ok(isServedName(`~state-${'0'.repeat(32)}`))
    t.notOk(isServedName(`~state-${'0'.repeat(31)}/`))
    t.notOk(isServedName(`~state-${'0'.repeat(32)}\n`))
  }
)

t.test('a bucket lets through its rate and a tenth of a second, whatever comes', async (t) => {
  const random = SplittableRandom.fromSeed(3)
  for (let round = 0; round < 50; round++) {
    const rate = 1_000 + random.nextInt(100_000)
    const bucket = new TokenBucket(rate, at(0))
    let now = 0
    let sent = 0
    let largest = 0
    for (let piece = 0; piece < 60; piece++) {
      now += random.nextInt(50)
      const ready = bucket.readyAt(at(now))
      t.ok(ready >= now)
      now = ready
      const bytes = 1 + random.nextInt(20_000)
      t.ok(sent <= (rate * now) / 1_000 + 1e-6 + largest, 'before it, no more than was earned')
      bucket.take(bytes, at(now))
      sent += bytes
      largest = Math.max(largest, bytes)
    }
    const busyMs = bucket.readyAt(at(now)) - now
    t.ok(sent <= (rate * (now + busyMs)) / 1_000 + 1e-3, 'and in all')
  }
})

t.test(
  'a bucket without a rate holds nothing up; what is owed is paid at the new rate',
  async (t) => {
    const bucket = new TokenBucket(0, at(0))
    bucket.take(1e12, at(0))
    t.equal(bucket.readyAt(at(0)), 0)
    bucket.setRate(1_000, at(0))
    bucket.take(1_000, at(0))
    t.equal(bucket.readyAt(at(0)), 1_000)
    bucket.setRate(10_000, at(500))
    t.equal(bucket.readyAt(at(500)), 550)
    bucket.setRate(0, at(510))
    t.equal(bucket.readyAt(at(510)), 510)
  }
)

const origins = ['a', 'b', 'c'] as const

function randomVersion(random: SplittableRandom): VersionVector {
  const version: Record<string, number> = {}
  for (const origin of origins) {
    const count = random.nextInt(3)
    if (count > 0) version[origin] = count
  }
  return version
}

t.test('versions are sets of changes: each origin’s first ones', async (t) => {
  const random = SplittableRandom.fromSeed(4)
  const changesOf = (version: VersionVector) =>
    new Set(
      Object.entries(version).flatMap(([origin, count]) =>
        Array.from({ length: count }, (_, i) => `${origin}${i}`)
      )
    )
  for (let round = 0; round < 400; round++) {
    const [a, b] = [randomVersion(random), randomVersion(random)]
    const [inA, inB] = [changesOf(a), changesOf(b)]
    const lacksA = [...inB].some((change) => !inA.has(change))
    const lacksB = [...inA].some((change) => !inB.has(change))
    const relation = lacksA ? (lacksB ? 'concurrent' : 'older') : lacksB ? 'newer' : 'equal'
    t.equal(compareVersions(a, b), relation)
    t.same(changesOf(joinVersions(a, b)), new Set([...inA, ...inB]))
    t.equal(compareVersions(advanced(a, 'b' as NodeId), a), 'newer')
    t.same(fromWireVersion(toWireVersion(a)), a)
  }
})

t.test('a version from a service is checked before it travels', async (t) => {
  const invalid = { code: 'ERR_SKEIN_INVALID_ARGUMENT' }
  t.throws(() => toWireVersion({ 'Not A Node': 1 }), invalid)
  t.throws(() => toWireVersion({ a: -1 }), invalid)
  t.throws(() => toWireVersion({ a: 0.5 }), invalid)
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`n${i}`, 1]))
  t.throws(() => toWireVersion(many), invalid)
  t.same(toWireVersion({ b: 1, a: 2, c: 0 }), [
    { origin: 'a', version: 2 },
    { origin: 'b', version: 1 }
  ])
})

t.test('both ends of a conflict keep the same state, whoever looks', async (t) => {
  const random = SplittableRandom.fromSeed(5)
  const state = (): ServiceState => ({
    mode: 'full',
    version: randomVersion(random),
    changedAt: random.nextInt(3) as WallMs,
    data: Uint8Array.of(random.nextInt(3), random.nextInt(3))
  })
  for (let round = 0; round < 400; round++) {
    const [a, b] = [state(), state()]
    for (const strategy of ['last-writer-wins', 'higher-version'] as const) {
      const hereKept = keptOf(strategy, a, b) === 'local' ? a : b
      const thereKept = keptOf(strategy, b, a) === 'local' ? b : a
      t.same(hereKept, thereKept)
      if (strategy === 'last-writer-wins' && a.changedAt !== b.changedAt) {
        t.equal(hereKept.changedAt, Math.max(a.changedAt, b.changedAt))
      }
    }
  }
})
