import fc from 'fast-check'
import t from 'tap'
import { ProtocolError } from '../../../../src/core/errors.js'
import { Lifecycles } from '../../../../src/core/index.js'
import type { EngineSessions } from '../../../../src/core/ports/engine-sessions.js'
import { migrationRefusals } from '../../../../src/core/sql-sessions.js'
import { clientMigration } from '../../../../src/failover/session/messages.js'
import { sessionSilenceMs } from '../../../../src/failover/session/session-table.js'
import { sessionDefine, sessionKeep } from '../../../../src/routing/index.js'
import { ByteReader } from '../../../../src/wire/byte-reader.js'
import { a, b, c, id, seen } from './home-group.js'
import { SessionsWorld } from './sessions-world.js'

/** Keeps bytes of each session, or says why it cannot give them away. */
class FakeEngine implements EngineSessions {
  readonly kept = new Map<string, string>()
  readonly forgotten: string[] = []
  refusal: (typeof migrationRefusals)[number] | null = null

  settingFault = ({ name, value }: { name: string; value: string }) =>
    name === 'mine' ? (value === 'bad' ? 'mine is never bad' : null) : undefined
  capture = async (session: string) =>
    this.refusal === null
      ? ({
          kind: 'captured',
          state: new TextEncoder().encode(this.kept.get(session) ?? '')
        } as const)
      : ({ kind: 'refused', refusal: this.refusal, detail: 'so it is' } as const)
  restore = async (session: string, state: Uint8Array) => {
    this.kept.set(session, new TextDecoder().decode(state))
    return null
  }
  forget = (session: string) => {
    this.kept.delete(session)
    this.forgotten.push(session)
  }
}

t.test('a session moves with all it has; what it was asked meanwhile waits', async (t) => {
  const world = new SessionsWorld(['a', 'b'])
  await world.open(a, 1, { read_only: 'on' })
  await world.settle(world.run(a, 1, 9))
  let end = () => {}
  const running = world.run(a, 1, 12, new Promise((resolve) => (end = resolve)))
  const moving = world.move(a, 1)
  const held = world.run(a, 1, 13)
  held.catch(() => {})
  await world.clock.advance(50)
  t.equal(world.of(a).home.counters.get('session_requests_held'), 1)
  end()
  t.match(await world.settle(running), { index: 12 })
  t.match(await world.settle(moving), { outcome: 'moved', target: b, epoch: 2 })
  await t.rejects(world.settle(held), { code: 'ERR_SKEIN_SESSION_MOVED', nodeId: b })
  t.match(await world.settle(world.run(b, 1, 14)), { results: [{ rows: [[12]] }] })
  t.match(world.group.get(), { home: b, moves: 1, lastInsertRowid: 12n, seen: [seen(12)] })
  t.same(world.homed, [`a ${id(1)}`, `b ${id(1)}`])
  world.stop()
})

t.test('a program that asks while its session moves hears that it is there', async (t) => {
  const world = new SessionsWorld(['a', 'b'])
  await world.open(a, 1)
  let end = () => {}
  const running = world.run(a, 1, 1, new Promise((resolve) => (end = resolve)))
  const moving = world.move(a, 1)
  await world.clock.advance(10)
  const client = world.network.nodes.get('client:app' as typeof a)
  const deadline = (world.clock.now() + 100) as ReturnType<typeof world.clock.now>
  const kept = client?.request(a, sessionKeep, { session: id(1) }, { deadline })
  t.match(await world.settle(kept as Promise<unknown>), { epoch: 1 })
  end()
  await world.settle(running)
  t.match(await world.settle(moving), { outcome: 'moved' })
  world.stop()
})

t.test('a node that stops waits for its sessions only while somebody takes them', async (t) => {
  const world = new SessionsWorld(['a', 'b'])
  for (let n = 1; n <= 20; n++) await world.open(a, n)
  world.lifecycles.set(a, Lifecycles.Draining)
  world.lifecycles.set(b, Lifecycles.Draining)
  const { mover } = world.of(a)
  const begun = world.clock.now()
  const deadline = (begun + 10_000) as typeof begun
  await world.settle(mover.moveAllAway(deadline))
  t.ok(world.clock.now() < begun + 1_000)
  t.equal(mover.count, 20, 'their programs take them over')
  world.lifecycles.set(b, Lifecycles.Up)
  await world.settle(mover.moveAllAway(deadline))
  t.equal(mover.count, 0)
  world.stop()
})

t.test('M-07 an answer of the target that is lost is asked of the home group', async (t) => {
  const world = new SessionsWorld(['a', 'b'])
  await world.open(a, 1)
  world.doubts.push('take')
  t.match(await world.settle(world.move(a, 1)), { outcome: 'moved', target: b, epoch: 2 })
  await t.rejects(world.settle(world.run(a, 1, 1)), { code: 'ERR_SKEIN_SESSION_MOVED' })
  await t.rejects(world.settle(world.run(b, 1, 1)), { code: 'ERR_SKEIN_SESSION_DETACHED' })

  await world.open(a, 2)
  world.losses.push('take', 'settle')
  const report = await world.settle(world.move(a, 2))
  t.match(report, { outcome: 'refused', refusal: 'unreachable', epoch: 2 })
  t.match(await world.settle(world.run(a, 2, 1)), { index: 1 }, 'it stays, in a later epoch')
  t.match(await world.settle(world.move(a, 2)), { outcome: 'moved', epoch: 3 })
  t.equal(world.of(a).home.counters.get('session_migrations_in_doubt'), 2)
  world.stop()
})

t.test('M-07 a target that is lost, or silent, does not get it', async (t) => {
  const world = new SessionsWorld(['a', 'b', 'c'])
  await world.open(a, 1)
  world.network.leave(b)
  t.match(await world.settle(world.move(a, 1, b)), { outcome: 'refused', refusal: 'unreachable' })
  world.network.isolate(c)
  t.match(await world.settle(world.move(a, 1, c)), { outcome: 'refused', refusal: 'unreachable' })
  t.match(await world.settle(world.run(a, 1, 1)), { index: 1 })
  t.match(world.group.get(), { home: a, moves: 0 })
  world.stop()
})

t.test('M-08 a drain of a thousand sessions moves them all, evenly', async (t) => {
  const world = new SessionsWorld(['a', 'b', 'c'])
  for (let n = 1; n <= 1_000; n++) await world.open(a, n)
  world.lifecycles.set(a, Lifecycles.Draining)
  const { mover } = world.of(a)
  const begun = world.clock.now()
  mover.moveAway((begun + 30_000) as typeof begun)
  await world.clock.until(() => mover.count === 0)
  t.ok(world.clock.now() - begun < 30_000)
  t.match(mover, { moved: 1_000, refused: 0 })
  const onB = world.of(b).mover.count
  t.ok(onB > 450 && onB < 550, `${onB} on b`)
  t.equal(world.of(c).mover.count, 1_000 - onB)
  t.equal(mover.reports().length, 1_000)
  world.stop()
})

t.test('M-10 an engine that cannot give a session away says why, and it stays', async (t) => {
  const engine = new FakeEngine()
  const world = new SessionsWorld(['a', 'b'], { a: engine, b: new FakeEngine() })
  await world.open(a, 1)
  engine.kept.set(id(1), 'rows')
  const own = migrationRefusals.slice(0, migrationRefusals.indexOf('engineState') + 1)
  for (const refusal of own) {
    engine.refusal = refusal
    const report = await world.settle(world.move(a, 1))
    t.match(report, { outcome: 'refused', refusal, detail: 'so it is' }, refusal)
    t.match(await world.settle(world.run(a, 1, 1)), { index: 1 })
  }
  t.same(engine.forgotten, [])
  engine.refusal = null
  t.match(await world.settle(world.move(a, 1)), { outcome: 'moved' })
  t.same([...engine.kept], [])
  world.stop()
})

t.test('M-10 every other refusal leaves it where it is, with its reason', async (t) => {
  const world = new SessionsWorld(['a', 'b'], { a: new FakeEngine() })
  const refused = async (n: number, refusal: string, target: typeof b | null = null) => {
    const report = await world.settle(world.move(a, n, target))
    t.match(report, { outcome: 'refused', refusal }, refusal)
    if (refusal !== 'detached') t.match(await world.settle(world.run(a, n, 1)), { index: 1 })
  }
  await world.open(a, 1)
  let end = () => {}
  const running = world.run(a, 1, 1, new Promise((resolve) => (end = resolve)))
  const tooLong = await world.settle(world.move(a, 1))
  t.match(tooLong, { outcome: 'refused', refusal: 'requestUnderWay' })
  end()
  await running
  await refused(9, 'detached')
  await refused(1, 'noTarget', a)
  await world.open(a, 2, { mine: 'good' })
  await refused(2, 'settingRefused')
  world.lifecycles.set(b, Lifecycles.Draining)
  await refused(1, 'noTarget')
  await refused(1, 'targetDraining', b)
  world.lifecycles.set(b, Lifecycles.Up)
  for (let n = 1_000; n < 2_024; n++) await world.open(b, n)
  await refused(1, 'targetFull', b)
  world.stop()
})

t.test('M-10 one that ends while its move waits for a request has nothing to move', async (t) => {
  const world = new SessionsWorld(['a', 'b'], { a: new FakeEngine() })
  await world.open(a, 1)
  let end = () => {}
  const running = world.run(a, 1, 1, new Promise((resolve) => (end = resolve)))
  const moving = world.move(a, 1)
  world.of(a).home.end(id(1), Number.MAX_SAFE_INTEGER)
  t.match(await world.settle(moving), {
    outcome: 'refused',
    refusal: 'detached',
    detail: 'it has ended meanwhile'
  })
  end()
  await running
  world.stop()
})

t.test('M-12 what a target does not know it refuses before anything is changed', async (t) => {
  const engine = new FakeEngine()
  const world = new SessionsWorld(['a', 'b'], { a: engine })
  await world.open(a, 1)
  engine.kept.set(id(1), 'rows')
  const report = await world.settle(world.move(a, 1))
  t.match(report, { outcome: 'refused', refusal: 'engineState', epoch: 1 })
  const table = world.of(a).home.table
  table.define(id(1), { settings: [], prepared: [{ name: 'q', sql: 'ATTACH x' }] })
  t.match(await world.settle(world.move(a, 1)), { refusal: 'statementRefused' })
  t.match(world.group.get(), { home: a, epoch: 1 })
  world.stop()
})

t.test('what an engine cannot give away ends with its node, with the reason told', async (t) => {
  const engine = new FakeEngine()
  const world = new SessionsWorld(['a', 'b'], { a: engine, b: new FakeEngine() })
  await world.open(a, 1)
  engine.refusal = 'temporaryTables'
  world.lifecycles.set(a, Lifecycles.Draining)
  const { mover } = world.of(a)
  const now = world.clock.now()
  mover.moveAway((now + 3_000) as typeof now)
  await world.clock.until(() => mover.count === 0)
  t.equal(mover.refused, 1)
  t.match(mover.reports().at(-1), { refusal: 'temporaryTables' })
  t.equal(world.group.get(), undefined)
  t.same(engine.forgotten, [id(1)])
  world.stop()
})

t.test('M-11 nobody but its home gives a session away, and no bytes break a target', async (t) => {
  const world = new SessionsWorld(['a', 'b', 'c'])
  await world.open(a, 1)
  const captured = world.of(a).home.table.capture(id(1))
  const { id: session, ...rest } = captured
  const body = { ...rest, session, reason: 'drain', origin: a, target: b } as const
  const thief = world.network.nodes.get(c)
  const deadline = (world.clock.now() + 1_000) as ReturnType<typeof world.clock.now>
  const stolen = thief?.request(
    b,
    clientMigration,
    { ...body, state: new Uint8Array(0) },
    { deadline }
  )
  await t.rejects(world.settle(stolen as Promise<unknown>), { code: 'ERR_SKEIN_NOT_AUTHORIZED' })
  const own = { ...body, origin: c, state: new Uint8Array(0) }
  const refused = thief?.request(b, clientMigration, own, { deadline })
  t.match(await world.settle(refused as Promise<unknown>), { accepted: false, refusal: 'fenced' })
  t.match(world.group.get(), { home: a, epoch: 1 })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        clientMigration.codec.read(new ByteReader(bytes))
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error
      }
    }),
    { numRuns: 20_000 }
  )
  world.stop()
})

t.test('what a session has come to is told now and then; the silent are detached', async (t) => {
  const world = new SessionsWorld(['a'])
  await world.open(a, 1)
  await world.settle(world.run(a, 1, 33))
  await world.clock.advance(11_000)
  t.match(world.group.get(), { state: 'attached', seen: [seen(33)], lastInsertRowid: 33n })
  await world.clock.advance(sessionSilenceMs + 11_000)
  t.match(world.group.get(), { state: 'detached', seen: [seen(33)] })
  t.equal(world.of(a).home.table.size, 0)
  await t.rejects(world.settle(world.run(a, 1, 34)), { code: 'ERR_SKEIN_SESSION_DETACHED' })
  t.equal(world.clock.pending, 0, 'a node without sessions wakes for none')
  world.stop()
})

t.test('settings and statements are checked before they are replicated', async (t) => {
  const world = new SessionsWorld(['a'])
  await t.rejects(world.open(a, 1, { read_only: 'perhaps' }), { message: /on or off/ })
  await t.rejects(world.open(a, 1, { unheard: '1' }), { message: /is none of/ })
  await world.open(a, 1)
  const client = world.network.nodes.get('client:app' as typeof a)
  const define = (given: object) => {
    const deadline = (world.clock.now() + 1_000) as ReturnType<typeof world.clock.now>
    const body = { session: id(1), settings: [], prepared: [], ...given }
    return world.settle(client?.request(a, sessionDefine, body, { deadline }) as Promise<unknown>)
  }
  await t.rejects(define({ prepared: [{ name: 'q', sql: 'ATTACH x' }] }), {
    code: 'ERR_SKEIN_SQL_REFUSED'
  })
  await t.rejects(define({ prepared: [{ name: '1q', sql: 'SELECT 1' }] }), { message: /letter/ })
  await t.rejects(define({ settings: [{ name: 'priority', value: 'most' }] }), {
    message: /critical/
  })
  t.match(await define({ prepared: [{ name: 'q', sql: 'SELECT 1' }] }), { epoch: 1 })
  await t.rejects(define({ prepared: [{ name: 'q', sql: 'SELECT 2' }] }), { message: /this name/ })
  t.same(world.group.get()?.prepared, [{ name: 'q', sql: 'SELECT 1' }])
  const other = world.network.join('client:other' as typeof a)
  const deadline = (world.clock.now() + 1_000) as ReturnType<typeof world.clock.now>
  const kept = other.request(a, sessionKeep, { session: id(1) }, { deadline })
  await t.rejects(world.settle(kept), { code: 'ERR_SKEIN_NOT_AUTHORIZED' })
  world.stop()
})
