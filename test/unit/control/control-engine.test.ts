import t from 'tap'
import { encodeWith } from '../../../src/control/change-command.js'
import { ControlEngine, controlImageFile } from '../../../src/control/control-engine-driver.js'
import type { AnySection, AppliedChange } from '../../../src/control/control-state.js'
import { ownSections } from '../../../src/control/sections.js'
import { supportedVersions } from '../../../src/control/versions.js'
import type { LogIndex, MonotonicMs, WallMs } from '../../../src/core/ids.js'
import type { Clock } from '../../../src/core/ports/clock.js'
import type { Command } from '../../../src/core/ports/engine.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { SimulatedDisk } from '../../../src/simulation/simulated-disk.js'
import { MemoryDisk } from '../../support/memory-disk.js'
import { testCrypto } from '../../support/test-crypto.js'
import { VirtualClock } from '../../support/virtual-clock.js'
import { tallySection } from './tally.js'

const tally = tallySection()
const deadline = 1e9 as MonotonicMs
const at = (index: number) => index as LogIndex
const bytes = (...values: number[]) => Uint8Array.from(values)

function place(
  disk = new MemoryDisk() as ConstructorParameters<typeof ControlEngine>[0]['disk'],
  clock: Clock = new VirtualClock()
) {
  const applied: AppliedChange[] = []
  const engine = new ControlEngine({
    clock,
    crypto: testCrypto(SplittableRandom.fromSeed(1)),
    disk,
    sections: [...ownSections, tally as AnySection],
    formatMax: supportedVersions.max,
    onApplied: (one) => applied.push(one)
  })
  return { engine, applied, disk }
}

const say = (text: string) => ({
  statements: [{ sql: 'tally', params: [1, encodeWith(tally.change, { text }, 100)] }]
})

async function plan(engine: ControlEngine, text: string, index: number): Promise<Command> {
  const outcome = await engine.plan(say(text), { index: at(index), deadline })
  if (outcome.kind === 'failed') throw new Error(outcome.failure.message)
  return outcome.command
}

t.test('planned changes see one another and nobody else sees them', async (t) => {
  const { engine, applied } = place()
  await engine.open()
  const commands = [await plan(engine, 'one', 5), await plan(engine, 'two', 5)]
  t.equal(engine.stateOf(tally).count, 0)
  await engine.apply(commands, [], at(5))
  t.same(engine.stateOf(tally), { count: 2, last: 'two' })
  t.match(applied, [{ answer: { count: 1 } }, { answer: { count: 2 }, at: { index: 5 } }])
})

t.test('R-X03 a proposer whose wall clock is ahead moves log time by its own time', async (t) => {
  const clock = new VirtualClock()
  const aheadMs = 600_000
  const ahead: Clock = {
    now: () => clock.now(),
    wallNow: () => (clock.wallNow() + aheadMs) as WallMs,
    schedule: (due, callback) => clock.schedule(due, callback)
  }
  const [follower, leader] = [place(undefined, clock), place(undefined, ahead)]
  await Promise.all([follower.engine.open(), leader.engine.open()])
  const begun = [await plan(follower.engine, 'one', 1)]
  await leader.engine.apply(begun, [], at(1))
  await clock.advance(4_000)
  const commands = [await plan(leader.engine, 'two', 2), await plan(leader.engine, 'three', 2)]
  await leader.engine.apply(commands, [], at(2))
  const [first, second, third] = leader.applied.map((one) => one.at.now as number)
  t.equal(Number(second) - Number(first), 5_000, 'a quarter faster than it passed')
  t.equal(Number(third) - Number(second), 1, 'of one entry')
  await clock.advance(4 * aheadMs)
  await leader.engine.apply([await plan(leader.engine, 'four', 3)], [], at(3))
  t.equal(leader.applied.at(-1)?.at.now, ahead.wallNow(), 'it catches up in its time')
})

t.test('discard drops what was planned, and so does apply of anything else', async (t) => {
  const { engine } = place()
  const other = place().engine
  await Promise.all([engine.open(), other.open()])
  await plan(engine, 'lost', 1)
  await engine.discard()
  const foreign = await plan(other, 'foreign', 1)
  await plan(engine, 'lost too', 1)
  await engine.apply([foreign], [], at(1))
  const next = await engine.plan(say('next'), { index: at(2), deadline })
  t.match(next, { kind: 'planned' })
  t.same(engine.stateOf(tally), { count: 1, last: 'foreign' })
})

t.test('SQL, unknown sections and malformed changes are refused, and leave no trace', async (t) => {
  const { engine } = place()
  await engine.open()
  const refused = [
    { statements: [{ sql: 'SELECT 1' }] },
    { statements: [] },
    { statements: [...say('a').statements, ...say('b').statements] },
    { statements: [{ sql: 'tally', params: [1, 'text'] }] },
    { statements: [{ sql: 'tally', params: [1, bytes(200, 1)] }] },
    { statements: [{ sql: 'nobody', params: [1, bytes(0)] }] },
    { statements: [{ sql: 'tally', params: [9, bytes(0)] }] }
  ]
  for (const request of refused) {
    const outcome = await engine.plan(request, { index: at(1), deadline })
    t.match(outcome, { kind: 'failed', failure: { code: 'ERR_SKEIN_SQL_REFUSED' } })
  }
  await engine.apply([await plan(engine, 'fine', 1)], [], at(1))
  t.equal(engine.stateOf(tally).count, 1)
  t.match(await engine.read([{ sql: 'nobody' }]), { kind: 'failed' })
})

t.test('state, system keys and index come back together from the image', async (t) => {
  const { engine, disk } = place()
  t.same(await engine.open(), { appliedIndex: 0, durableIndex: 0 })
  await engine.apply(
    [await plan(engine, 'kept', 4)],
    [
      { key: 'client/b', value: bytes(2) },
      { key: 'client/a', value: bytes(1) }
    ],
    at(4)
  )
  t.equal(await engine.flush(), 4)
  const { hash } = await engine.checksum()
  await engine.apply(
    [await plan(engine, 'not durable', 6)],
    [{ key: 'client/b', value: null }],
    at(6)
  )
  t.not((await engine.checksum()).hash, hash)
  await engine.close()
  const again = place(disk).engine
  t.same(await again.open(), { appliedIndex: 4, durableIndex: 4 })
  t.same(again.stateOf(tally), { count: 1, last: 'kept' })
  t.same(await again.readSystem('client/'), [
    { key: 'client/a', value: bytes(1) },
    { key: 'client/b', value: bytes(2) }
  ])
  t.same(await again.checksum(), { index: 4, hash })
  t.equal(await again.flush(), 4, 'nothing new to make durable')
})

t.test('a snapshot of one replica is the whole state of another', async (t) => {
  const [from, to] = [place().engine, place().engine]
  await Promise.all([from.open(), to.open()])
  await from.apply([await plan(from, 'x', 9)], [{ key: 'client/a', value: bytes(7) }], at(9))
  await to.apply([await plan(to, 'other', 2)], [{ key: 'client/z', value: bytes(7) }], at(2))
  await plan(to, 'planned', 3)
  to.restoreState(from.encodeState())
  t.same(to.encodeState(), from.encodeState())
  t.same(await to.checksum(), await from.checksum())
  t.equal(await to.flush(), 9)
  const damaged = from.encodeState()
  damaged[9] = (damaged[9] as number) ^ 1
  t.throws(() => to.restoreState(damaged), { code: 'ERR_SKEIN_LOG_CORRUPTED' })
  t.equal(to.stateOf(tally).last, 'x')
})

t.test('a snapshot travels in parts and is taken whole, durably, or not at all', async (t) => {
  const [from, target] = [place().engine, place()]
  const to = target.engine
  await Promise.all([from.open(), to.open()])
  for (let i = 1; i <= 5; i++) await from.apply([await plan(from, `n${i}`, i)], [], at(i))
  await to.apply([await plan(to, 'old', 2)], [{ key: 'client/z', value: bytes(1) }], at(2))
  const snapshot = await from.snapshot()
  await from.apply([await plan(from, 'later', 6)], [], at(6))
  const { description } = snapshot
  t.match(description, { index: 5, format: 1 })
  const half = description.sizeBytes >> 1
  const restore = await to.restore(description)
  await restore.write(half, await snapshot.read(half, description.sizeBytes - half))
  await t.rejects(restore.finish([]), { code: 'ERR_SKEIN_SNAPSHOT_REFUSED' }, 'half is missing')
  t.equal(to.stateOf(tally).last, 'old')
  await restore.write(0, await snapshot.read(0, half))
  await t.rejects(restore.write(description.sizeBytes, bytes(1)), {
    code: 'ERR_SKEIN_SNAPSHOT_REFUSED'
  })
  const own = [{ key: 'local/base', value: bytes(9) }]
  t.same(await restore.finish(own), { appliedIndex: 5, durableIndex: 5 })
  t.same(to.stateOf(tally), { count: 5, last: 'n5' })
  t.same(await to.readSystem(''), own)
  t.same(await place(target.disk).engine.open(), { appliedIndex: 5, durableIndex: 5 })
  await restore.abandon()
  await snapshot.close()
  await t.rejects(to.restore({ ...description, format: 2 }), { code: 'ERR_SKEIN_SNAPSHOT_REFUSED' })
  await t.rejects(to.restore({ ...description, sizeBytes: 2 ** 40 }), {
    code: 'ERR_SKEIN_SNAPSHOT_REFUSED'
  })
})

t.test('a damaged image stops the replica, and a failed flush is the last one', async (t) => {
  const disk = new MemoryDisk()
  const { engine } = place(disk)
  await engine.open()
  await engine.apply([await plan(engine, 'x', 1)], [], at(1))
  await engine.flush()
  await engine.apply([await plan(engine, 'y', 2)], [], at(2))
  disk.fullAfterBytes = 4
  await t.rejects(engine.flush(), { code: 'ERR_SKEIN_DISK_FAILED' })
  disk.fullAfterBytes = Number.POSITIVE_INFINITY
  await t.rejects(engine.flush(), { code: 'ERR_SKEIN_ENGINE_FAILED' })
  t.same(await place(disk).engine.open(), { appliedIndex: 1, durableIndex: 1 })
  const image = disk.files.get(controlImageFile) as Uint8Array
  image[12] = (image[12] as number) ^ 1
  await t.rejects(place(disk).engine.open(), { code: 'ERR_SKEIN_LOG_CORRUPTED' })
})

t.test('whatever a power failure tears, the image is the old one or the new one', async (t) => {
  const random = SplittableRandom.fromSeed(11)
  for (let round = 0; round < 60; round++) {
    const clock = new VirtualClock()
    const disk = new SimulatedDisk(
      { clock, random: random.split(`disk ${round}`) },
      { syncLatencyMs: [0, 4], writeLatencyMs: [0, 2] }
    )
    const { engine } = place(disk.mount())
    await clock.settle(engine.open())
    let durable = 0
    for (let index = 1; index <= 3; index++) {
      await engine.apply([await plan(engine, `${index}`, index)], [], at(index))
      if (index < 3) durable = await clock.settle(engine.flush())
    }
    const flushing = engine.flush().catch(() => 0)
    await clock.advance(random.nextFloat() * 16)
    disk.crash(random.split(`crash ${round}`))
    await clock.advance(50)
    void flushing
    const again = place(disk.mount()).engine
    const { appliedIndex } = await clock.settle(again.open())
    const isWhole = appliedIndex === durable || appliedIndex === 3
    if (!isWhole || again.stateOf(tally).count !== appliedIndex) {
      t.fail(`round ${round}: ${appliedIndex}, ${JSON.stringify(again.stateOf(tally))}`)
    }
  }
  t.pass('60 crashes')
})
