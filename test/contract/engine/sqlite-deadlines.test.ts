import t, { type Test } from 'tap'
import { after } from '../../../src/core/deadlines.js'
import { DEFAULT_GROUP, type LogIndex, type MonotonicMs } from '../../../src/core/ids.js'
import { silentLogger } from '../../../src/core/ports/logger.js'
import type { Statement } from '../../../src/core/sql.js'
import type { SqliteEngineOptions } from '../../../src/engine/index.js'
import { nodeClock } from '../../../src/runtime/node-clock.js'
import { sqliteEngine } from '../../support/published-sqlite.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const clock = nodeClock()
const counting = (n: number) =>
  `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${n})`
const timedOut = { kind: 'failed', failure: { code: 'ERR_SKEIN_STATEMENT_TIMEOUT' } }
const soon = (): MonotonicMs => after(clock.now(), 150)
const late = (): MonotonicMs => after(clock.now(), 60_000)
const at = (index: number) => index as LogIndex

async function opened(t: Test, options: SqliteEngineOptions) {
  const engine = sqliteEngine({ readers: 1, deadlineGraceMs: 50, ...options }).create({
    group: DEFAULT_GROUP,
    directory: await temporaryDirectory(t),
    clock,
    logger: silentLogger
  })
  t.teardown(() => engine.close())
  await engine.open()
  const plan = (sql: string, deadline = late()) => {
    const statements: Statement[] = [{ sql }]
    return engine.plan({ statements }, { deadline })
  }
  return { engine, plan }
}

for (const isolation of ['thread', 'process'] as const) {
  t.test(`${isolation}: a read that answers no row is given up, and reading goes on`, async (t) => {
    const { engine } = await opened(t, { isolation })
    // A thread cannot be stopped inside SQLite, so the statement ends by itself in the end.
    const sql = `${counting(isolation === 'process' ? 1e12 : 2e7)} SELECT count(*) FROM c`
    const reading = engine.read([{ sql }], { atLeastIndex: at(0), deadline: soon() })
    const next = engine.read([{ sql: 'SELECT 7' }], { atLeastIndex: at(0), deadline: late() })
    t.match(await reading, timedOut)
    t.match(await next, { kind: 'rows', results: [{ rows: [[7]] }] })
  })
}

t.test('process: a write that answers nothing costs its batch, not the replica', async (t) => {
  const { engine, plan } = await opened(t, { isolation: 'process' })
  const first = await plan('CREATE TABLE t (a)')
  const endless = plan(`${counting(1e12)} SELECT count(*) FROM c`, soon())
  const behind = plan('SELECT 1')
  t.match(await endless, timedOut)
  t.match(await behind, { kind: 'failed', failure: { code: 'ERR_SKEIN_BACKPRESSURE' } })
  t.match(await plan('SELECT 1'), { kind: 'failed' }, 'until the batch is settled')
  if (first.kind !== 'planned') throw new Error(first.failure.message)
  await engine.apply([first.command], [], at(5))
  t.match(await plan('INSERT INTO t VALUES (1)'), { kind: 'planned' })
})

t.test('thread: a write that answers nothing stops the replica', async (t) => {
  const { engine, plan } = await opened(t, { isolation: 'thread' })
  t.match(await plan(`${counting(2e7)} SELECT count(*) FROM c`, soon()), timedOut)
  await t.rejects(engine.apply([], [], at(5)), { code: 'ERR_SKEIN_ENGINE_FAILED' })
})

t.test('a result beyond its bound is refused', async (t) => {
  const { engine } = await opened(t, { isolation: 'inline' })
  const sql = `${counting(1e9)} SELECT hex(randomblob(1000)) FROM c`
  const outcome = await engine.read([{ sql }], { atLeastIndex: at(0), deadline: late() })
  t.match(outcome, { kind: 'failed', failure: { code: 'ERR_SKEIN_RESULT_TOO_LARGE' } })
})
