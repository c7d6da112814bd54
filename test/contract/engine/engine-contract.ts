import { createHash } from 'node:crypto'
import t from 'tap'
import type { LogIndex } from '../../../src/core/ids.js'
import type {
  Command,
  Engine,
  EngineOpenOptions,
  EngineRestore,
  EngineSnapshot,
  PlanOutcome,
  SnapshotDescription,
  SystemWrite
} from '../../../src/core/ports/engine.js'
import type { Statement, StatementResult } from '../../../src/core/sql.js'
import { farDeadline } from '../../support/far-deadline.js'

/** What the suite needs of an engine, in the engine's own language. */
export interface EngineSubject {
  readonly name: string
  /** A closed engine on an empty place of its own. `t.teardown` removes the place. */
  make(t: TeardownTap): Promise<EnginePlace>
  /** Statements that make a table or the like, planned and applied first; may be empty. */
  readonly schema: readonly Statement[]
  set(key: string, value: string): Statement
  get(key: string): Statement
  /** A statement that fails while it is planned. */
  readonly failing: Statement
  /** What `get` found. */
  valueIn(result: StatementResult): string | null
}

export interface EnginePlace {
  /** A new engine object on the same place; the one before was closed. */
  create(): Engine
}

export interface TeardownTap {
  teardown(handler: () => unknown): void
}

const deadline = farDeadline
const at = (index: number) => index as LogIndex

/** The contract of `Engine` in src/core/ports/engine.ts, clause by clause. */
export function engineContract(subject: EngineSubject): void {
  const { set, get, failing, valueIn } = subject

  const test = (name: string, body: (t: Tap, engine: Harness) => Promise<void>) =>
    t.test(`${subject.name}: ${name}`, async (t) => {
      const place = await subject.make(t)
      const harness = await open(t, place, subject)
      await body(t as unknown as Tap, harness)
    })

  const read = async ({ engine }: Harness, key: string, atLeast = 0): Promise<string | null> => {
    const outcome = await engine.read([get(key)], { atLeastIndex: at(atLeast), deadline })
    if (outcome.kind === 'failed') throw new Error(outcome.failure.message)
    return valueIn(outcome.results[0] as StatementResult)
  }

  test('what is applied is read, at its index', async (t, harness) => {
    const command = await planned(harness, set('a', '1'))
    t.equal(await read(harness, 'a'), null, 'a plan is not visible')
    await harness.engine.apply([command], [], at(10))
    t.equal(await read(harness, 'a'), '1')
    const outcome = await harness.engine.read([get('a')], { atLeastIndex: at(10), deadline })
    t.match(outcome, { kind: 'rows', index: 10 })
  })

  test('the commands of one batch see one another, in order', async (t, harness) => {
    const commands = [await planned(harness, set('a', '1')), await planned(harness, set('a', '2'))]
    await harness.engine.apply(commands, [], at(10))
    t.equal(await read(harness, 'a'), '2')
  })

  test('several statements are one command', async (t, harness) => {
    const outcome = await plan(harness, set('a', '1'), set('b', '2'), set('a', '3'))
    t.match(outcome, { kind: 'planned' })
    if (outcome.kind !== 'planned') return
    t.equal(outcome.results.length, 3)
    await harness.engine.apply([outcome.command], [], at(10))
    t.equal(await read(harness, 'a'), '3')
    t.equal(await read(harness, 'b'), '2')
  })

  test('a plan that fails leaves the batch as it was, whatever it did', async (t, h) => {
    const first = await planned(h, set('a', '1'))
    const failed = await plan(h, set('b', 'lost'), failing)
    t.match(failed, { kind: 'failed', failure: { statement: 1, code: /^ERR_SKEIN_/ } })
    const last = await planned(h, set('c', '3'))
    await h.engine.apply([first, last], [], at(10))
    t.same([await read(h, 'a'), await read(h, 'b'), await read(h, 'c')], ['1', null, '3'])
  })

  test('discard drops what was planned', async (t, harness) => {
    await planned(harness, set('a', '1'))
    await harness.engine.discard()
    const command = await planned(harness, set('b', '2'))
    await harness.engine.apply([command], [], at(10))
    t.same([await read(harness, 'a'), await read(harness, 'b')], [null, '2'])
  })

  test('a rehearsal changes nothing, whatever comes before and after it', async (t, harness) => {
    const { engine } = harness
    await engine.rehearse?.()
    const first = await planned(harness, set('a', '1'))
    await engine.rehearse?.()
    await engine.apply([first], [], at(10))
    const before = await engine.checksum()
    await engine.rehearse?.()
    t.same(await engine.checksum(), before)
    const other = await open(t, await subject.make(t), subject)
    await other.engine.apply([first], [], at(10))
    await engine.apply([await planned(other, set('b', '2'))], [], at(11))
    await engine.rehearse?.()
    await engine.apply([await planned(harness, set('c', '3'))], [], at(12))
    const read3 = [await read(harness, 'a'), await read(harness, 'b'), await read(harness, 'c')]
    t.same(read3, ['1', '2', '3'])
  })

  test('apply of anything else rolls the batch back first', async (t, harness) => {
    const other = await open(t, await subject.make(t), subject)
    const foreign = await planned(other, set('x', '9'))
    await planned(harness, set('a', '1'))
    await harness.engine.apply([foreign], [], at(10))
    t.same([await read(harness, 'a'), await read(harness, 'x')], [null, '9'])
  })

  test('who applied the same commands has the same checksum', async (t, leader) => {
    const follower = await open(t, await subject.make(t), subject)
    for (let index = 10; index < 20; index++) {
      const commands = [
        await planned(leader, set(`k${index % 3}`, `v${index}`)),
        await planned(leader, set(`m${index % 4}`, `w${index}`))
      ]
      await leader.engine.apply(commands, [], at(index))
      await follower.engine.apply(commands, [], at(index))
      const [one, two] = [await leader.engine.checksum(), await follower.engine.checksum()]
      t.same(one, two)
      t.match(one, { index, hash: /^[0-9a-f]+$/ })
    }
    const before = await leader.engine.checksum()
    await planned(leader, set('k0', 'planned'))
    t.equal((await leader.engine.checksum()).hash, before.hash, 'a plan is not hashed')
    await leader.engine.discard()
    const command = await planned(leader, set('k0', 'other'))
    await follower.engine.apply([command], [], at(20))
    t.not((await follower.engine.checksum()).hash, before.hash)
  })

  test('system keys are written with the commands, by prefix in key order', async (t, harness) => {
    const { engine } = harness
    const bytes = (n: number) => Uint8Array.of(n, 0, 255)
    const writes = ['s/b', 's/a', 's/c', 'z'].map((key, n) => ({ key, value: bytes(n) }))
    await engine.apply([], writes, at(10))
    await engine.apply(
      [await planned(harness, set('a', '1'))],
      [{ key: 's/b', value: null }],
      at(11)
    )
    const found = (await engine.readSystem('s/')).map(({ key, value }) => [key, [...(value ?? [])]])
    t.same(found, [
      ['s/a', [1, 0, 255]],
      ['s/c', [2, 0, 255]]
    ])
    const { hash } = await engine.checksum()
    await engine.apply([], [{ key: 's/d', value: bytes(9) }], at(12))
    t.equal((await engine.checksum()).hash, hash, 'the hash is of user data')
  })

  test('what was flushed is there again, data, system keys and index', async (t, harness) => {
    const { engine } = harness
    const system = [{ key: 's/a', value: Uint8Array.of(7) }]
    await engine.apply([await planned(harness, set('a', '1'))], system, at(10))
    const { hash } = await engine.checksum()
    t.equal(await engine.flush(), 10)
    const state = await harness.reopen()
    t.same(state, { appliedIndex: 10, durableIndex: 10 })
    t.equal(await read(harness, 'a'), '1')
    t.same((await harness.engine.readSystem('s/')).length, 1)
    t.equal((await harness.engine.checksum()).hash, hash)
  })

  test('the durable index never passes the applied one', async (t, harness) => {
    for (let index = 10; index < 30; index++) {
      const command = await planned(harness, set('a', String(index)))
      await harness.engine.apply([command], [], at(index))
    }
    const { appliedIndex, durableIndex } = await harness.reopen()
    t.ok(durableIndex <= appliedIndex && appliedIndex <= 29, `${durableIndex} ${appliedIndex}`)
    const found = await read(harness, 'a')
    t.equal(found, appliedIndex < 10 ? null : String(appliedIndex), 'content and index agree')
  })

  test('a read waits for its index', async (t, harness) => {
    const command = await planned(harness, set('a', '1'))
    let done = false
    const reading = read(harness, 'a', 10).then((value) => {
      done = true
      return value
    })
    await new Promise((resolve) => setImmediate(resolve))
    t.notOk(done)
    await harness.engine.apply([command], [], at(10))
    t.equal(await reading, '1')
  })

  test('R-S11 a snapshot brings data, system keys and index to another engine', async (t, h) => {
    const system = [{ key: 's/a', value: Uint8Array.of(7, 0, 255) }]
    await h.engine.apply([await planned(h, set('a', '1'), set('b', '2'))], system, at(10))
    const taken = await snapshotOf(h.engine)
    await h.engine.apply([await planned(h, set('a', 'later'))], [], at(11))
    const { description } = taken
    t.equal(description.index, 10)
    t.same(description.sha256, sha256(await contentOf(taken)))
    const other = await open(t, await subject.make(t), subject)
    await other.engine.apply([await planned(other, set('c', 'gone'))], [], at(3))
    const local = { key: 'local/x', value: Uint8Array.of(1) }
    t.match(await restored(other.engine, taken, [local]), { appliedIndex: 10, durableIndex: 10 })
    await taken.close()
    const state = await other.reopen()
    t.same(state, { appliedIndex: 10, durableIndex: 10 }, 'durable, without a flush')
    const found = [await read(other, 'a'), await read(other, 'b'), await read(other, 'c')]
    t.same(found, ['1', '2', null])
    const keys = (await other.engine.readSystem('')).map(({ key }) => key)
    t.same(keys, ['local/x', 's/a'])
    const commands = [await planned(other, set('a', 'later'))]
    await other.engine.apply(commands, [], at(11))
    t.same(await other.engine.checksum(), await h.engine.checksum(), 'it goes on from there')
  })

  test('R-S08 until its end a restore changes nothing; given up, nothing is left', async (t, h) => {
    const source = await open(t, await subject.make(t), subject)
    await source.engine.apply([await planned(source, set('a', 'new'))], [], at(10))
    const taken = await snapshotOf(source.engine)
    await h.engine.apply([await planned(h, set('a', 'old'))], [], at(5))
    const restore = await restoreOf(h.engine, taken.description)
    await writeAll(restore, await contentOf(taken))
    await h.engine.apply([await planned(h, set('b', 'meanwhile'))], [], at(6))
    t.same([await read(h, 'a'), await read(h, 'b')], ['old', 'meanwhile'])
    await restore.abandon()
    await restore.abandon()
    t.same([await read(h, 'a'), await read(h, 'b')], ['old', 'meanwhile'])
    await restored(h.engine, taken, [])
    t.same([await read(h, 'a'), await read(h, 'b')], ['new', null])
  })

  test('R-S08 what was written of a restore stays for the next process', async (t, h) => {
    const source = await open(t, await subject.make(t), subject)
    await source.engine.apply([await planned(source, set('a', 'new'))], [], at(10))
    const taken = await snapshotOf(source.engine)
    const { description } = taken
    const content = await contentOf(taken)
    const half = Math.ceil(content.length / 2)
    const restore = await restoreOf(h.engine, description)
    if (restore.lasting === undefined) throw new Error('its restores do not last')
    await restore.write(0, content.slice(0, half))
    await restore.lasting.sync()
    t.same(await restore.lasting.read(7, content.length), content.slice(7, half))
    await restore.lasting.suspend()
    await restore.abandon()
    await h.reopen({ keepsRestore: true })
    const resumed = await h.engine.restore?.(description, { resumes: true })
    t.same(await resumed?.lasting?.read(0, content.length), content.slice(0, half))
    await resumed?.write(half, content.slice(half))
    await resumed?.finish([])
    t.equal(await read(h, 'a'), 'new')
  })

  test('R-S08 of a restore that is not kept nothing is left', async (t, h) => {
    const taken = await snapshotOf(h.engine)
    const { description } = taken
    const suspended = async () => {
      const restore = await restoreOf(h.engine, description)
      await restore.write(0, Uint8Array.of(1, 2, 3))
      await restore.lasting?.suspend()
    }
    const found = async (resumes: boolean) => {
      const restore = await h.engine.restore?.(description, { resumes })
      const bytes = await restore?.lasting?.read(0, 10)
      await restore?.abandon()
      return bytes?.length
    }
    await suspended()
    t.equal(await found(true), 3)
    await suspended()
    t.equal(await found(false), 0, 'another begins anew')
    await suspended()
    await h.reopen()
    t.equal(await found(true), 0, 'it was not to be kept')
  })

  test('X-39 a damaged, foreign or short snapshot is refused, the content stays', async (t, h) => {
    await h.engine.apply([await planned(h, set('a', '1'))], [], at(10))
    const taken = await snapshotOf(h.engine)
    const { description } = taken
    const bytes = await contentOf(taken)
    const other = await open(t, await subject.make(t), subject)
    await other.engine.apply([await planned(other, set('a', 'own'))], [], at(3))
    const refused = { code: 'ERR_SKEIN_SNAPSHOT_REFUSED' }
    const finishing = async (claimed: SnapshotDescription, sent: Uint8Array) => {
      const restore = await restoreOf(other.engine, claimed)
      await writeAll(restore, sent)
      await restore.finish([])
    }
    const flipped = bytes.slice()
    flipped[flipped.length >> 1] = (flipped[flipped.length >> 1] ?? 0) ^ 4
    await t.rejects(finishing(description, flipped), refused, 'a flipped bit')
    await t.rejects(finishing(description, bytes.subarray(0, bytes.length - 1)), refused, 'short')
    const foreign = { ...description, format: description.format + 1 }
    await t.rejects(finishing(foreign, bytes), refused, 'another format')
    t.equal(await read(other, 'a'), 'own')
    const { appliedIndex } = await other.reopen()
    t.ok(appliedIndex <= 3)
    await finishing(description, bytes)
    t.equal(await read(other, 'a'), '1')
  })

  test('a read that waits for what a snapshot brings gets it', async (t, harness) => {
    const source = await open(t, await subject.make(t), subject)
    await source.engine.apply([await planned(source, set('a', '1'))], [], at(10))
    const taken = await snapshotOf(source.engine)
    const reading = read(harness, 'a', 10)
    await restored(harness.engine, taken, [])
    t.equal(await reading, '1')
  })

  test('an apply without commands moves the index', async (t, harness) => {
    await harness.engine.apply([], [], at(10))
    t.equal((await harness.engine.checksum()).index, 10)
  })
}

interface Tap extends TeardownTap {
  equal(found: unknown, wanted: unknown, message?: string): void
  not(found: unknown, wanted: unknown, message?: string): void
  same(found: unknown, wanted: unknown, message?: string): void
  match(found: unknown, pattern: unknown, message?: string): void
  rejects(promise: Promise<unknown>, wanted: object, message?: string): Promise<unknown>
  ok(value: unknown, message?: string): void
  notOk(value: unknown, message?: string): void
}

interface Harness {
  engine: Engine
  /** Closes the engine and opens another on the same place. */
  reopen(options?: EngineOpenOptions): Promise<{ appliedIndex: LogIndex; durableIndex: LogIndex }>
}

async function open(t: TeardownTap, place: EnginePlace, subject: EngineSubject): Promise<Harness> {
  const harness: Harness = {
    engine: place.create(),
    async reopen(options) {
      await harness.engine.close()
      harness.engine = place.create()
      return harness.engine.open(options)
    }
  }
  t.teardown(() => harness.engine.close())
  await harness.engine.open()
  if (subject.schema.length > 0) {
    await harness.engine.apply([await planned(harness, ...subject.schema)], [], at(1))
  }
  return harness
}

async function snapshotOf(engine: Engine): Promise<EngineSnapshot> {
  if (engine.snapshot === undefined) throw new Error('the engine takes no snapshots')
  return engine.snapshot()
}

async function restoreOf(engine: Engine, description: SnapshotDescription): Promise<EngineRestore> {
  if (engine.restore === undefined) throw new Error('the engine takes no snapshots in')
  return engine.restore(description)
}

const partBytes = 1_000

async function contentOf({ description, read }: EngineSnapshot): Promise<Uint8Array> {
  const content = new Uint8Array(description.sizeBytes)
  for (let offset = 0; offset < content.length; offset += partBytes) {
    content.set(await read(offset, Math.min(partBytes, content.length - offset)), offset)
  }
  return content
}

/** Backwards: parts come in any order. */
async function writeAll(restore: EngineRestore, content: Uint8Array): Promise<void> {
  const count = Math.ceil(content.length / partBytes)
  for (let part = count - 1; part >= 0; part--) {
    await restore.write(part * partBytes, content.slice(part * partBytes, (part + 1) * partBytes))
  }
}

async function restored(engine: Engine, taken: EngineSnapshot, writes: readonly SystemWrite[]) {
  const restore = await restoreOf(engine, taken.description)
  await writeAll(restore, await contentOf(taken))
  return restore.finish(writes)
}

const sha256 = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.from(createHash('sha256').update(bytes).digest())

const plan = ({ engine }: Harness, ...statements: Statement[]): Promise<PlanOutcome> =>
  engine.plan({ statements }, { deadline })

async function planned(harness: Harness, ...statements: Statement[]): Promise<Command> {
  const outcome = await plan(harness, ...statements)
  if (outcome.kind === 'failed') throw new Error(outcome.failure.message)
  return outcome.command
}
