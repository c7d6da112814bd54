/** The judges of transactions and sessions must be able to say no. */
import t from 'tap'
import type {
  Engine,
  GroupId,
  LogIndex,
  NodeId,
  SystemWrite,
  Term,
  WallMs
} from '../../../src/core/index.js'
import { transactionIdOf } from '../../../src/core/transaction-id.js'
import {
  branchRecord,
  decisionRecord,
  endRecord,
  type SessionRecord,
  sessionsSection
} from '../../../src/failover/index.js'
import { createLedger, runKv } from '../../../src/simulation/kv-statements.js'
import { SessionInvariants } from '../../../src/simulation/session-invariants.js'
import { TransactionInvariants } from '../../../src/simulation/transaction-invariants.js'
import { Invariants, Violations } from '../../../src/simulation/violations.js'
import { ByteWriter } from '../../../src/wire/index.js'

const transaction = transactionIdOf(1, [0, 7])
const [one, other] = [1, 2] as [GroupId, GroupId]
const epoch = 3 as Term

const branch = (): SystemWrite =>
  branchRecord.put({
    transaction,
    epoch,
    sequence: 1,
    coordinator: one,
    groups: [one, other],
    preparedAt: 5,
    index: 4 as LogIndex,
    locks: { readKeys: [], writeKeys: ['k'] },
    command: null,
    kept: null
  })

const end = (outcome: 'committed' | 'aborted', heuristic: 'none' | 'mixed' = 'none'): SystemWrite =>
  endRecord.put({
    transaction,
    outcome,
    since: 6,
    coordinator: one,
    epoch,
    sequence: 1,
    decidedAt: 0 as LogIndex,
    heuristic,
    mixedGroups: [],
    reason: ''
  })

const decision = (): SystemWrite =>
  decisionRecord.put({
    transaction,
    epoch,
    index: 5 as LogIndex,
    decidedAt: 6,
    groups: [other],
    pending: [other],
    mixed: []
  })

function judging() {
  const violations = new Violations(() => 0)
  const found = () => violations.toArray().map(({ invariant }) => invariant)
  return { violations, found }
}

t.test('13: every group ends a transaction alike', async (t) => {
  const { violations, found } = judging()
  const transactions = new TransactionInvariants(violations)
  transactions.onWrites(one, [branch()])
  transactions.onWrites(other, [branch(), { key: 'session/x', value: new Uint8Array(1) }])
  transactions.onWrites(one, [end('committed'), decision(), { ...branch(), value: null }])
  transactions.onWrites(other, [end('committed')])
  t.strictSame(found(), [])
  transactions.onWrites(other, [end('aborted')])
  t.strictSame(found(), [Invariants.AtomicCommitment])
})

t.test('13: a commit is decided when every group has prepared its branch', async (t) => {
  const { violations, found } = judging()
  const transactions = new TransactionInvariants(violations)
  transactions.onWrites(one, [branch(), decision()])
  t.strictSame(found(), [Invariants.AtomicCommitment])
})

t.test('13: nobody commits a branch before the decision is in the log', async (t) => {
  const { violations, found } = judging()
  const transactions = new TransactionInvariants(violations)
  transactions.onWrites(one, [branch()])
  transactions.onWrites(other, [branch()])
  transactions.onWrites(other, [end('committed')])
  t.strictSame(found(), [Invariants.AtomicCommitment])
})

t.test('13: where nobody decides by hand no outcome is one of theirs', async (t) => {
  const { violations, found } = judging()
  new TransactionInvariants(violations).onWrites(one, [end('committed', 'mixed')])
  t.strictSame(found(), [Invariants.AtomicCommitment])
})

const token = (value: number) => new Uint8Array(32).fill(value)

const session = (changes: Partial<SessionRecord>): SessionRecord => ({
  id: '0123456789abcdef0123456789abcdef',
  client: 'app',
  home: 'a' as NodeId,
  epoch: 1,
  state: 'attached',
  token: token(1),
  usedToken: new Uint8Array(0),
  settings: [],
  prepared: [],
  seen: [],
  lastInsertRowid: null,
  openedAt: 1 as WallMs,
  heardAt: 1 as WallMs,
  moves: 0,
  reattachments: 0,
  ...changes
})

function holding(record: SessionRecord): Engine {
  const state = { ...sessionsSection.initial(), sessions: [record] }
  const writer = new ByteWriter(10_000)
  sessionsSection.state.write(writer, state)
  const result = { columns: ['state'], rows: [[writer.take()]], rowsAffected: 0 }
  const results = [{ ...result, lastInsertRowid: null }]
  return { read: async () => ({ kind: 'rows', results, index: 1 }) } as never
}

/** What two replicas hold, one after the other. */
async function judged(...records: readonly (readonly [string, Partial<SessionRecord>])[]) {
  const { violations, found } = judging()
  const invariants = new SessionInvariants(violations)
  for (const [replica, record] of records) {
    await invariants.onState(replica, holding(session(record)), false)
  }
  return found()
}

t.test('14: a session has one home in an epoch, and epochs never go back', async (t) => {
  const b = { home: 'b' as NodeId }
  const taken = { ...b, epoch: 2, usedToken: token(1), token: token(2) }
  t.strictSame(await judged(['x', {}], ['x', taken], ['y', {}], ['y', taken]), [])
  t.strictSame(await judged(['x', {}], ['y', b]), [Invariants.OneSessionHome])
  t.strictSame(await judged(['x', taken], ['x', {}]), [Invariants.OneSessionHome])
})

t.test('14: a token takes a session over once', async (t) => {
  const first = { epoch: 2, usedToken: token(1), token: token(2) }
  const again = { ...first, epoch: 3, home: 'b' as NodeId }
  t.strictSame(await judged(['x', first], ['x', again]), [], 'the same call, made again')
  const stolen = { ...again, token: token(3) }
  t.strictSame(await judged(['x', first], ['x', stolen]), [Invariants.OneSessionHome])
})

t.test('the table of the key-value engine is there when it was created', async (t) => {
  const data = new Map<string, string>()
  const view = {
    get: (key: string) => data.get(key) ?? null,
    set: (key: string, value: string | null) => data.set(key, value ?? '')
  }
  const read = 'SELECT value FROM ledger WHERE id = 3'
  t.match(runKv(read, view), { kind: 'failed', failure: { message: 'no such table: ledger' } })
  runKv(createLedger, view)
  t.match(runKv(read, view), { result: { rows: [] } })
  runKv('UPDATE ledger SET value = value + -5 WHERE id = 3', view)
  runKv("UPDATE ledger SET value = value || ',e1' WHERE id = 4", view)
  t.match(runKv(read, view), { result: { rows: [['-5']] } })
  t.equal(data.get('ledger/4'), ',e1')
  t.match(runKv('SELECT * FROM ledger', view), { kind: 'failed' })
})
