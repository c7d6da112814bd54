import t from 'tap'
import type { GroupId, LogIndex, Term } from '../../../src/core/ids.js'
import type { Command, Engine } from '../../../src/core/ports/engine.js'
import type { PrepareOutcome, RowKeys } from '../../../src/core/ports/engine-prepare.js'
import type { Statement, StatementResult } from '../../../src/core/sql.js'
import { transactionIdOf } from '../../../src/core/transaction-id.js'
import {
  type Change,
  type Locks,
  TransactionState,
  transactionKeyPrefix
} from '../../../src/failover/index.js'
import { farDeadline } from '../../support/far-deadline.js'
import type { EnginePlace, TeardownTap } from './engine-contract.js'

/** What the suite needs of an engine that takes part in transactions over groups. */
export interface PrepareSubject {
  readonly name: string
  make(t: TeardownTap): Promise<EnginePlace>
  readonly schema: readonly Statement[]
  /** Of one row named by its key. */
  add(key: number, amount: number): Statement
  get(key: number): Statement
  readonly sumOfAll: Statement
  readonly failing: Statement
  readonly ddl: Statement
  valueIn(result: StatementResult): number | null
}

const at = (index: number) => index as LogIndex
const coordinating = 1 as GroupId
const epoch = 1 as Term
const transaction = transactionIdOf(1, [0, 7])
const transactionLimits = { branchesMax: 8, decisionsMax: 8, endsMax: 8, endRetentionMs: 60_000 }
const logged = (index: number) => ({ index: at(index), term: epoch, now: index })

const branchOf = (command: Command, locks: Locks): Change => ({
  kind: 'prepare',
  transaction,
  epoch,
  sequence: 1,
  coordinator: coordinating,
  groups: [coordinating],
  expiresAt: 1_000,
  locks,
  command,
  kept: null
})

/** All that one engine holds, by a snapshot of it. */
async function takeIn(to: Engine, from: Engine): Promise<void> {
  const taken = await from.snapshot?.()
  const restore = taken && (await to.restore?.(taken.description))
  if (taken === undefined || restore === undefined) throw new Error('it takes no snapshots')
  await restore.write(0, await taken.read(0, taken.description.sizeBytes))
  await restore.finish([])
  await taken.close()
}

const deadline = farDeadline

/** The contract of `Engine.prepare`, clause by clause. */
export function prepareContract(subject: PrepareSubject): void {
  const { add, get, sumOfAll, failing, ddl, valueIn } = subject

  const test = (name: string, body: (t: Tap, engine: Engine) => Promise<void>) =>
    t.test(`${subject.name}: ${name}`, async (t) => {
      const engine = (await subject.make(t)).create()
      await engine.open()
      t.teardown(() => engine.close())
      let index = 1
      const statements = [...subject.schema, add(1, 10), add(2, 20)]
      for (const statement of statements) {
        const planned = await engine.plan({ statements: [statement] }, { deadline })
        if (planned.kind === 'failed') throw new Error(planned.failure.message)
        await engine.apply([planned.command], [], at(index++))
      }
      await body(t as unknown as Tap, engine)
    })

  const prepare = async (engine: Engine, ...statements: Statement[]): Promise<PrepareOutcome> => {
    const outcome = await engine.prepare?.({ statements }, { deadline })
    if (outcome === undefined) throw new Error('the engine does not prepare')
    return outcome
  }
  const prepared = async (engine: Engine, ...statements: Statement[]): Promise<Prepared> => {
    const outcome = await prepare(engine, ...statements)
    if (outcome.kind === 'failed') throw new Error(outcome.failure.message)
    return outcome
  }
  const read = async (engine: Engine, key: number): Promise<number | null> => {
    const outcome = await engine.read([get(key)], { atLeastIndex: at(0), deadline })
    if (outcome.kind === 'failed') throw new Error(outcome.failure.message)
    return valueIn(outcome.results[0] as StatementResult)
  }

  test('nothing is changed until its command is applied', async (t, engine) => {
    const before = await engine.checksum()
    const { command, readOnly } = await prepared(engine, add(1, 5), add(2, -5))
    t.equal(readOnly, false)
    t.equal(await read(engine, 1), 10)
    t.equal((await engine.checksum()).hash, before.hash)
    await engine.apply([command], [], at(20))
    t.same([await read(engine, 1), await read(engine, 2)], [15, 15])
  })

  test('its command is applied by whoever did not prepare it', async (t, engine) => {
    const { command } = await prepared(engine, add(1, 5))
    const other = (await subject.make(t as never)).create()
    await other.open()
    for (const [i, statement] of [...subject.schema, add(1, 10), add(2, 20)].entries()) {
      const planned = await other.plan({ statements: [statement] }, { deadline })
      if (planned.kind === 'failed') throw new Error(planned.failure.message)
      await other.apply([planned.command], [], at(i + 1))
    }
    await engine.apply([command], [], at(20))
    await other.apply([command], [], at(20))
    t.same(await other.checksum(), await engine.checksum())
    await other.close()
  })

  test('R-S11 T-18 a prepared branch goes with a snapshot, and ends there', async (t, engine) => {
    const { command, readKeys, writeKeys } = await prepared(engine, add(1, 5))
    const state = new TransactionState(coordinating, transactionLimits)
    const promised = state.apply([branchOf(command, { readKeys, writeKeys })], logged(20))
    await engine.apply(promised.commands, promised.writes, at(20))
    const other = (await subject.make(t as never)).create()
    await other.open()
    await takeIn(other, engine)
    t.equal(await read(other, 1), 10, 'nothing of it is done')
    const taken = TransactionState.restore(
      coordinating,
      transactionLimits,
      await other.readSystem(transactionKeyPrefix)
    )
    t.same(taken.branch(transaction), state.branch(transaction))
    const decide = {
      kind: 'decide' as const,
      transaction,
      epoch,
      expiresAt: 1_000,
      groups: [],
      client: null,
      result: null
    }
    for (const [of, replica] of [
      [state, engine],
      [taken, other]
    ] as const) {
      const { commands, writes } = of.apply([decide], logged(21))
      await replica.apply(commands, writes, at(21))
    }
    t.equal(await read(other, 1), 15)
    t.same(await other.checksum(), await engine.checksum())
    const keysOf = (replica: Engine) => replica.readSystem(transactionKeyPrefix)
    t.same(await keysOf(other), await keysOf(engine))
    t.equal(taken.branchCount, 0)
    await other.close()
  })

  test('the open batch stays as it was', async (t, engine) => {
    const plan = async (statement: Statement) => {
      const planned = await engine.plan({ statements: [statement] }, { deadline })
      if (planned.kind === 'failed') throw new Error(planned.failure.message)
      return planned.command
    }
    const first = await plan(add(1, 1))
    const { results } = await prepared(engine, get(1), add(1, 100))
    t.equal(valueIn(results[0] as StatementResult), 11, 'it sees the batch')
    const second = await plan(add(1, 1))
    await engine.apply([first, second], [], at(20))
    t.equal(await read(engine, 1), 12)
  })

  test('plans and looks that come at once are carried out in order', async (t, engine) => {
    const plan = (statement: Statement) => engine.plan({ statements: [statement] }, { deadline })
    const look = async () => {
      const { results } = await prepared(engine, get(1), add(1, 100))
      return valueIn(results[0] as StatementResult)
    }
    const [one, first, two, second, three] = await Promise.all([
      look(),
      plan(add(1, 1)),
      look(),
      plan(add(1, 2)),
      look()
    ])
    t.same([one, two, three], [10, 11, 13])
    const commands = [first, second].flatMap((planned) =>
      planned.kind === 'failed' ? [] : [planned.command]
    )
    await engine.apply(commands, [], at(20))
    t.equal(await read(engine, 1), 13)
  })

  test('a write names its row, and one that reads by key no other', async (t, engine) => {
    const one = await prepared(engine, add(1, 5))
    const other = await prepared(engine, add(2, 5))
    t.equal(one.writeKeys.length, 1)
    t.notSame(one.writeKeys, other.writeKeys)
    t.same((await prepared(engine, add(1, -1))).writeKeys, one.writeKeys)
    t.ok(within(one.readKeys, one.writeKeys), 'it rests on its own row alone')
    const look = await prepared(engine, get(1))
    t.equal(look.readOnly, true)
    t.same(look.readKeys, one.writeKeys, 'a read of the row names it alike')
    t.same(look.writeKeys, [])
  })

  test('a range, and whatever is not seen through, rests on everything', async (t, engine) => {
    const sum = await prepared(engine, sumOfAll)
    t.match(sum, { readKeys: 'all', writeKeys: [], readOnly: true })
    t.match(await prepared(engine, sumOfAll, add(1, 1)), { readKeys: 'all', readOnly: false })
  })

  test('DDL takes the group, and is undone too', async (t, engine) => {
    const before = await engine.checksum()
    t.match(await prepared(engine, ddl), { readKeys: 'all', writeKeys: 'all', readOnly: false })
    t.equal((await engine.checksum()).hash, before.hash)
    t.match(await prepared(engine, ddl), { kind: 'prepared' }, 'it is not there yet')
  })

  test('what fails is told, and leaves nothing', async (t, engine) => {
    const failed = await prepare(engine, add(1, 5), failing)
    t.match(failed, { kind: 'failed', failure: { statement: 1, code: /^ERR_SKEIN_/ } })
    t.equal(await read(engine, 1), 10)
    const { command } = await prepared(engine, add(1, 1))
    await engine.apply([command], [], at(20))
    t.equal(await read(engine, 1), 11)
  })
}

type Prepared = Extract<PrepareOutcome, { kind: 'prepared' }>

const within = (keys: RowKeys, others: RowKeys): boolean =>
  keys !== 'all' && (others === 'all' || keys.every((key) => others.includes(key)))

interface Tap {
  equal(found: unknown, wanted: unknown, message?: string): boolean
  same(found: unknown, wanted: unknown, message?: string): boolean
  notSame(found: unknown, wanted: unknown, message?: string): boolean
  match(found: unknown, wanted: unknown, message?: string): boolean
  ok(found: unknown, message?: string): boolean
}
