import t from 'tap'
import { SegmentedLog } from '../../../../src/consensus/log/segmented-log-driver.js'
import type { GroupId, LogIndex, ReplicaId, Term } from '../../../../src/core/ids.js'
import type {
  BaseChange,
  LogEntry,
  PersistRequest,
  RecoveredLog
} from '../../../../src/core/ports/log-store.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { SimulatedDisk } from '../../../../src/simulation/simulated-disk.js'
import { VirtualClock } from '../../../support/virtual-clock.js'

const group = 0 as GroupId
const firstSegment = 'log/0000000000000001.log'

const entry = (index: number, term: number, size = 10): LogEntry => ({
  index: index as LogIndex,
  term: term as Term,
  payload: new Uint8Array(size).fill(index + term * 7)
})

const request = (entries: LogEntry[], hardTerm?: number, id = group): PersistRequest => ({
  group: id,
  hardState:
    hardTerm === undefined
      ? null
      : { term: hardTerm as Term, vote: 'a/0000000000000001' as ReplicaId },
  entries
})

function makeDisk(seed = 1, syncMs = 0) {
  const clock = new VirtualClock()
  const random = SplittableRandom.fromSeed(seed)
  const latency = { syncLatencyMs: [syncMs, syncMs] as const }
  return { clock, random, disk: new SimulatedDisk({ clock, random }, latency) }
}

function logOn(disk: SimulatedDisk, segmentBytes = 1 << 20, aheadBytes = 0): SegmentedLog {
  return new SegmentedLog({ disk: disk.mount() }, { directory: 'log', segmentBytes, aheadBytes })
}

async function reopen(disk: SimulatedDisk, segmentBytes?: number): Promise<RecoveredLog> {
  const log = logOn(disk, segmentBytes)
  const recovered = await log.open()
  await log.close()
  return recovered
}

const segmentNames = (disk: SimulatedDisk): Promise<string[]> => disk.mount().list('log')

const termsOf = (recovered: RecoveredLog, id = group): number[] =>
  (recovered.groups.get(id)?.entries ?? []).map(({ term }) => term)

t.test('R-P07 hard state and entries of every group come back', async (t) => {
  const { disk } = makeDisk()
  const log = logOn(disk)
  t.equal((await log.open()).groups.size, 0)
  const other = 7 as GroupId
  await log.persist([request([entry(1, 1), entry(2, 1)], 1), request([entry(1, 3)], 3, other)])
  await log.persist([request([entry(3, 2, 2000)], 2)])
  await log.close()
  const recovered = await reopen(disk)
  t.same(recovered.groups.get(group)?.hardState, { term: 2, vote: 'a/0000000000000001' })
  t.same(recovered.groups.get(group)?.entries, [entry(1, 1), entry(2, 1), entry(3, 2, 2000)])
  t.same(termsOf(recovered, other), [3])
  t.equal(recovered.tornBytes, 0)
})

t.test('R-P04 entries replace what stands behind them, over restarts', async (t) => {
  const { disk, random } = makeDisk()
  const log = logOn(disk)
  await log.open()
  await log.persist([request([entry(1, 1), entry(2, 1), entry(3, 1)], 1)])
  await log.persist([request([entry(2, 2)], 2)])
  disk.crash(random)
  t.same(termsOf(await reopen(disk)), [1, 2])
  const again = logOn(disk)
  await again.open()
  await again.persist([request([entry(3, 2)])])
  disk.crash(random)
  t.same(termsOf(await reopen(disk)), [1, 2, 2])
})

t.test('group commit: requests that come during a sync share the next one', async (t) => {
  const { disk, clock } = makeDisk(1, 5)
  const log = logOn(disk)
  await clock.settle(log.open())
  const before = log.syncCount
  const first = log.persist([request([entry(1, 1)])])
  await clock.advance(1)
  const rest = Array.from({ length: 50 }, (_, i) => log.persist([request([entry(i + 2, 1)])]))
  await clock.settle(Promise.all([first, ...rest]))
  t.equal(log.syncCount - before, 2)
  await log.close()
  const opened = logOn(disk)
  const recovered = await clock.settle(opened.open())
  t.equal(termsOf(recovered).length, 51)
})

t.test('segments roll, and the chain goes on over them', async (t) => {
  const { disk } = makeDisk()
  const log = logOn(disk, 4096)
  await log.open()
  for (let i = 1; i <= 40; i++)
    await log.persist([request([entry(i, 1, 500)], i === 1 ? 1 : undefined)])
  await log.close()
  const names = await disk.mount().list('log')
  t.ok(names.length >= 4, names.join(' '))
  const recovered = await reopen(disk, 4096)
  t.equal(termsOf(recovered).length, 40)
  t.equal(recovered.groups.get(group)?.hardState.term, 1)
  await disk.mount().remove('log/0000000000000002.log')
  await t.rejects(reopen(disk, 4096), { code: 'ERR_SKEIN_LOG_CORRUPTED' })
})

t.test('requests beyond one frame are split and all durable', async (t) => {
  const { disk, random } = makeDisk()
  const log = logOn(disk, 1 << 24)
  await log.open()
  const many = Array.from({ length: 30 }, (_, i) => entry(i + 1, 1, 500_000))
  await log.persist([request(many, 1)])
  disk.crash(random)
  t.equal(termsOf(await reopen(disk)).length, 30)
})

t.test('R-P02 R-P09 D-07 a crash at any moment keeps what was answered', async (t) => {
  const torn = { cut: 0, whole: 0 }
  for (let seed = 0; seed < 150; seed++) {
    const { disk, clock, random } = makeDisk(seed, 3)
    let kept: number[] = []
    for (let life = 0; life < 4; life++) {
      const log = logOn(disk, 3000, seed % 2 === 0 ? 0 : 700)
      const recovered = await clock.settle(log.open())
      if (recovered.tornBytes > 0) torn.cut++
      else torn.whole++
      const terms = termsOf(recovered)
      t.same(terms.slice(0, kept.length), kept, `seed ${seed}, life ${life}`)
      let answered = terms.length
      for (let write = 0; write < 1 + random.nextInt(8); write++) {
        const size = random.nextInt(1500)
        const next = terms.length + write + 1
        log.persist([request([entry(next, life + 1, size)], life + 1)]).then(() => {
          answered = next
        })
        await clock.advance(random.nextInt(6))
      }
      kept = [...terms, ...Array.from({ length: answered - terms.length }, () => life + 1)]
      disk.crash(random)
    }
  }
  t.ok(torn.cut > 20 && torn.whole > 20, JSON.stringify(torn))
})

t.test('R-P09 damage before a whole frame is refused, a damaged last frame is cut', async (t) => {
  const { disk } = makeDisk()
  const log = logOn(disk)
  await log.open()
  await log.persist([request([entry(1, 1, 100)], 1)])
  await log.persist([request([entry(2, 1, 100)])])
  const size = (await disk.mount().readFile(firstSegment))?.length as number
  await log.persist([request([entry(3, 1, 100)])])
  await log.close()
  disk.rotAt(firstSegment, size + 60, 3)
  const cut = await reopen(disk)
  t.same(termsOf(cut), [1, 1])
  t.ok(cut.tornBytes > 100)
  for (const offset of [5, 33, 40, 80, 150]) {
    disk.rotAt(firstSegment, offset, 1)
    await t.rejects(reopen(disk), { code: 'ERR_SKEIN_LOG_CORRUPTED' }, `byte ${offset}`)
    disk.rotAt(firstSegment, offset, 1)
  }
  t.same(termsOf(await reopen(disk)), [1, 1])
})

t.test('R-P09 a full segment before a later one may not lack its tail', async (t) => {
  const { disk } = makeDisk()
  const log = logOn(disk, 1000)
  await log.open()
  for (let i = 1; i <= 6; i++) await log.persist([request([entry(i, 1, 300)], 1)])
  await log.close()
  const first = await disk.mount().open(firstSegment)
  await first.truncate(first.sizeBytes - 200)
  await t.rejects(reopen(disk), { code: 'ERR_SKEIN_LOG_CORRUPTED' })
})

t.test('R-P07 R-P09 frames go into zeros that are there, and none are left of them', async (t) => {
  const { disk, clock, random } = makeDisk()
  const sizeOf = async (file: string) => (await disk.mount().readFile(file))?.length ?? 0
  const log = logOn(disk, 8_192, 2_048)
  await log.open()
  await log.persist([request([entry(1, 1, 100)], 1)])
  await clock.advance(1)
  const filled = await sizeOf(firstSegment)
  t.ok(filled > 2_048, `${filled} bytes`)
  await log.persist([request([entry(2, 1, 100)])])
  await clock.advance(1)
  t.equal(await sizeOf(firstSegment), filled, 'the file has not changed its size')
  disk.crash(random)
  const recovered = await reopen(disk)
  t.same(termsOf(recovered), [1, 1])
  t.equal(recovered.tornBytes, 0, 'zeros are no torn write')

  const again = logOn(disk, 8_192, 2_048)
  await again.open()
  for (let i = 3; i <= 60; i++) {
    await again.persist([request([entry(i, 1, 300)])])
    await clock.advance(1)
  }
  await again.close()
  t.ok((await segmentNames(disk)).length >= 3)
  const last = (await segmentNames(disk)).at(-1)
  for (const name of (await segmentNames(disk)).filter((one) => one !== last)) {
    const bytes = (await disk.mount().readFile(`log/${name}`)) as Uint8Array
    t.not(bytes.at(-1), 0, `${name} ends with its frames`)
  }
  t.equal(termsOf(await reopen(disk, 8_192)).length, 60)
})

t.test('R-P11 D-08 after a failed sync nothing succeeds any more', async (t) => {
  const { disk } = makeDisk()
  const log = logOn(disk)
  await log.open()
  await log.persist([request([entry(1, 1)])])
  disk.failSyncs(1)
  const failed = { code: 'ERR_SKEIN_DISK_FAILED' }
  await t.rejects(log.persist([request([entry(2, 1)])]), failed)
  await t.rejects(log.persist([request([entry(2, 1)])]), failed)
  t.equal(disk.faults.fsync_error, 1)
})

t.test('R-P12 a full disk is an error, and what was durable stays readable', async (t) => {
  const { disk } = makeDisk()
  const log = logOn(disk)
  await log.open()
  await log.persist([request([entry(1, 1)])])
  disk.setCapacityBytes(200)
  await t.rejects(log.persist([request([entry(2, 1, 500)])]), { code: 'ERR_SKEIN_DISK_FAILED' })
  disk.setCapacityBytes(1 << 20)
  t.same(termsOf(await reopen(disk)), [1])
})

const baseAt = (index: number, term: number, replacesLog = false): BaseChange => ({
  base: {
    index: index as LogIndex,
    term: term as Term,
    configurationIndex: 1 as LogIndex,
    configuration: Uint8Array.of(index, term)
  },
  replacesLog
})

t.test('R-P07 a base comes back, with what stays behind it', async (t) => {
  const { disk } = makeDisk()
  const log = logOn(disk)
  await log.open()
  await log.persist([request([entry(1, 1), entry(2, 1), entry(3, 2)], 2)])
  await log.persist([{ ...request([]), base: baseAt(2, 1) }])
  await log.persist([request([entry(4, 2)])])
  await log.close()
  const kept = (await reopen(disk)).groups.get(group)
  t.same(kept?.base, baseAt(2, 1).base)
  t.same(kept?.entries, [entry(3, 2), entry(4, 2)])
  t.same(kept?.hardState.term, 2)
  const again = logOn(disk)
  await again.open()
  await again.persist([{ ...request([entry(10, 3)], 3), base: baseAt(9, 3, true) }])
  await again.close()
  const replaced = (await reopen(disk)).groups.get(group)
  t.same([replaced?.base?.index, replaced?.entries], [9, [entry(10, 3)]])
})

t.test('R-S13 segments that hold nothing live are deleted, of all groups', async (t) => {
  const { disk } = makeDisk()
  const other = 7 as GroupId
  const log = logOn(disk, 1_000)
  await log.open()
  await log.persist([request([entry(1, 1)], 1), request([entry(1, 1)], 1, other)])
  for (let i = 2; i <= 30; i++) await log.persist([request([entry(i, 1, 300)])])
  const before = await segmentNames(disk)
  await log.persist([{ ...request([]), base: baseAt(28, 1) }])
  t.same(await segmentNames(disk), before, 'the other group still has its first entry there')
  await log.persist([{ ...request([], undefined, other), base: baseAt(1, 1) }])
  await log.persist([request([entry(31, 1, 300)])])
  const after = await segmentNames(disk)
  t.ok(after.length <= 4 && after[0] !== before[0], after.join(' '))
  await log.persist([request([entry(2, 2)], 2, other)])
  await log.close()
  const { groups } = await reopen(disk)
  t.same(groups.get(group)?.base?.index, 28)
  t.same(
    groups.get(group)?.entries.map(({ index }) => index),
    [29, 30, 31]
  )
  t.same(groups.get(other)?.entries, [entry(2, 2)])
  t.equal(groups.get(group)?.hardState.term, 1, 'of a segment that is gone')
  await disk.mount().remove(`log/${after[0]}`)
  await t.rejects(reopen(disk), { code: 'ERR_SKEIN_LOG_CORRUPTED' }, 'a live one is missing')
})

t.test('what a crash leaves of deleted segments is no part of the log', async (t) => {
  const { disk } = makeDisk()
  const log = logOn(disk, 1_000)
  await log.open()
  for (let i = 1; i <= 12; i++) await log.persist([request([entry(i, 1, 300)], 1)])
  const names = await segmentNames(disk)
  const [first = '', second = ''] = names
  const bytes = await disk.mount().readFile(`log/${first}`)
  await log.persist([{ ...request([]), base: baseAt(11, 1) }])
  await log.close()
  const file = await disk.mount().open(`log/${first}`)
  await file.write(0, [bytes as Uint8Array])
  await file.close()
  const damaged = await disk.mount().open(`log/${second}`)
  await damaged.write(0, [new Uint8Array(100)])
  await damaged.close()
  t.same((await reopen(disk)).groups.get(group)?.entries, [entry(12, 1, 300)])
  t.notOk((await segmentNames(disk)).some((name) => name === first || name === second))
})

t.test('a base that falls, or lies beyond the entries, is refused', async (t) => {
  for (const wrong of [baseAt(1, 1), baseAt(9, 1)]) {
    const { disk } = makeDisk()
    const log = logOn(disk)
    await log.open()
    await log.persist([request([entry(1, 1), entry(2, 1), entry(3, 1)], 1)])
    await log.persist([{ ...request([]), base: baseAt(2, 1) }])
    await log.persist([{ ...request([]), base: wrong }])
    await log.close()
    await t.rejects(reopen(disk), { code: 'ERR_SKEIN_LOG_CORRUPTED' })
  }
})

t.test('R-P16 compacted and crashed at any moment, the log is what it was', async (t) => {
  const seen = { deletions: 0, resets: 0 }
  for (let seed = 0; seed < 120; seed++) {
    const { disk, clock, random } = makeDisk(seed, 3)
    // The dumb twin: where the base is, and the term of each entry behind it, as last answered.
    let sure = { base: 0, terms: [] as number[] }
    let asked: (typeof sure)[] = []
    for (let life = 1; life <= 4; life++) {
      const log = logOn(disk, 1_500, seed % 2 === 0 ? 0 : 400)
      const recovered = (await clock.settle(log.open())).groups.get(group)
      const found = {
        base: Number(recovered?.base?.index ?? 0),
        terms: (recovered?.entries ?? []).map(({ term }) => Number(term))
      }
      const states = [sure, ...asked]
      const isKnown = states.some((state) => JSON.stringify(state) === JSON.stringify(found))
      t.ok(isKnown, `seed ${seed}, life ${life}: ${JSON.stringify({ found, states })}`)
      sure = found
      asked = []
      let now = found
      for (let step = 0; step < 2 + random.nextInt(10); step++) {
        const end = now.base + now.terms.length
        const what = random.nextInt(4)
        let change: PersistRequest
        if (what === 0 && now.terms.length > 2) {
          const count = 1 + random.nextInt(now.terms.length - 1)
          change = { ...request([]), base: baseAt(now.base + count, now.terms[count - 1] ?? 0) }
          now = { base: now.base + count, terms: now.terms.slice(count) }
          seen.deletions++
        } else if (what === 1 && random.nextInt(4) === 0) {
          change = { ...request([]), base: baseAt(end + 5, life, true) }
          now = { base: end + 5, terms: [] }
          seen.resets++
        } else {
          change = request([entry(end + 1, life, 100 + random.nextInt(900))])
          now = { base: now.base, terms: [...now.terms, life] }
        }
        const state = now
        asked.push(state)
        log.persist([change]).then(() => {
          sure = state
          asked = asked.slice(asked.indexOf(state) + 1)
        })
        await clock.advance(random.nextInt(6))
      }
      disk.crash(random)
    }
  }
  t.ok(seen.deletions > 200 && seen.resets > 50, JSON.stringify(seen))
})
