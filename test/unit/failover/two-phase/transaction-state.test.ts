import t from 'tap'
import {
  type GroupId,
  type LogIndex,
  type Serial,
  type Term,
  toClientId
} from '../../../../src/core/ids.js'
import type { SystemWrite } from '../../../../src/core/ports/engine.js'
import type { ClientTag } from '../../../../src/core/ports/replicated-group.js'
import { transactionIdOf } from '../../../../src/core/transaction-id.js'
import {
  type Change,
  type ChangeOf,
  decodeChanges,
  encodeChanges,
  type LoggedChange
} from '../../../../src/failover/two-phase/changes.js'
import {
  type ChangeAnswer,
  type TransactionLimits,
  TransactionState
} from '../../../../src/failover/two-phase/transaction-state.js'

const own = 1 as GroupId
const coordinator = 0 as GroupId
const limits: TransactionLimits = {
  branchesMax: 3,
  decisionsMax: 2,
  endsMax: 4,
  endRetentionMs: 1_000
}
const id = (n: number) => transactionIdOf(n, [0, n])

const prepare = (n: number, over: Partial<ChangeOf<'prepare'>> = {}): ChangeOf<'prepare'> => ({
  kind: 'prepare',
  transaction: id(n),
  epoch: 1 as Term,
  sequence: n,
  coordinator,
  groups: [coordinator, own],
  expiresAt: 10_000,
  locks: { readKeys: [], writeKeys: [`row ${n}`] },
  command: { tag: 'rows', bytes: Uint8Array.of(n) },
  kept: Uint8Array.of(7),
  ...over
})
const commit = (n: number, decidedAt = 50): Change => ({
  kind: 'commit',
  transaction: id(n),
  epoch: 1 as Term,
  coordinator,
  decidedAt: decidedAt as LogIndex
})
const abort = (n: number): Change => ({ kind: 'abort', transaction: id(n), reason: 'test' })
const decide = (n: number, over: Partial<ChangeOf<'decide'>> = {}): Change => ({
  kind: 'decide',
  client: null,
  result: null,
  transaction: id(n),
  epoch: 1 as Term,
  expiresAt: 10_000,
  groups: [5 as GroupId],
  ...over
})

/** A group and a replica of it that is restored from its keys before each entry. */
class Replicas {
  readonly keys = new Map<string, Uint8Array>()
  readonly #group: GroupId
  state: TransactionState
  #index = 0

  constructor(group = own) {
    this.#group = group
    this.state = new TransactionState(group, limits)
  }

  apply(changes: readonly LoggedChange[], now = 1, term = 1): ChangeAnswer[] {
    const at = { index: ++this.#index as LogIndex, term: term as Term, now }
    const stored: SystemWrite[] = [...this.keys].map(([key, value]) => ({ key, value }))
    const restored = TransactionState.restore(this.#group, limits, stored)
    const decoded = decodeChanges(encodeChanges(changes))
    const expected = restored.apply(decoded, at)
    const applied = this.state.apply(decoded, at)
    t.same(expected, applied, 'a restored replica does the same')
    for (const { key, value } of applied.writes) {
      if (value === null) this.keys.delete(key)
      else this.keys.set(key, value)
    }
    this.commands.push(...applied.commands.map(({ bytes }) => bytes[0] as number))
    return [...applied.answers]
  }

  readonly commands: number[] = []
}

t.test('a branch is prepared once, committed once, and answers the same for ever', async (t) => {
  const replicas = new Replicas()
  t.match(replicas.apply([prepare(1)]), [{ kind: 'vote', vote: 'yes', kept: Uint8Array.of(7) }])
  t.match(replicas.apply([prepare(1)]), [{ vote: 'yes' }], 'the vote is remembered')
  t.match(replicas.apply([prepare(1, { epoch: 2 as Term })]), [{ vote: 'no', reason: /in use/ }])
  t.same(replicas.commands, [])
  t.match(replicas.apply([commit(1)]), [{ kind: 'ended', state: 'committed', alarm: null }])
  t.match(replicas.apply([commit(1), commit(1)]), [{ state: 'committed' }, { state: 'committed' }])
  t.same(replicas.commands, [1], 'applied once')
  t.match(replicas.apply([prepare(1)]), [{ vote: 'no', reason: /committed already/ }], 'T-12')
  t.match(replicas.apply([abort(1)]), [
    { state: 'committed', alarm: /coordinator decided aborted/ }
  ])
  t.equal(replicas.state.end(id(1))?.heuristic, 'mixed')
})

t.test('T-06 an abort before its branch, T-07 a commit of nothing', async (t) => {
  const replicas = new Replicas()
  t.match(replicas.apply([abort(1), prepare(1)]), [{ state: 'aborted' }, { vote: 'no' }])
  t.match(replicas.apply([commit(2)]), [{ state: 'unknown', alarm: /never prepared/ }])
  t.equal(replicas.state.stateOf(id(2)), 'unknown')
  replicas.apply([prepare(3)])
  const [answer] = replicas.apply([{ ...commit(3), epoch: 2 as Term } as Change])
  t.match(answer, { state: 'prepared', alarm: /epoch/ })
})

t.test('rows, bounds and time refuse a branch', async (t) => {
  const replicas = new Replicas()
  replicas.apply([prepare(1)])
  const same = { locks: { readKeys: ['row 1'], writeKeys: [] } }
  t.match(replicas.apply([prepare(2, same)]), [{ vote: 'no', reason: /holds its rows/ }])
  t.match(replicas.apply([prepare(2)], 10_001), [{ vote: 'no', reason: /time to vote/ }], 'T-15')
  replicas.apply([prepare(2), prepare(3)])
  t.match(replicas.apply([prepare(4)]), [{ vote: 'no', reason: /too many/ }])
  t.equal(replicas.state.branchCount, 3)
})

t.test('a decision needs its epoch, its branch and its time', async (t) => {
  const decided = (
    changes: readonly Change[],
    over: Partial<ChangeOf<'decide'>>,
    now = 1,
    term = 1
  ) => {
    const replicas = new Replicas(coordinator)
    replicas.apply(changes)
    const [answer] = replicas.apply([decide(1, over)], now, term)
    return { replicas, answer }
  }
  const made = decided([prepare(1)], {})
  t.match(made.answer, { kind: 'decided', decision: 'commit' })
  t.same(made.replicas.commands, [1], 'the own branch is committed with it')
  t.same(made.replicas.state.decision(id(1))?.pending, [5])
  t.match(made.replicas.apply([decide(1), abort(1)]), [
    { decision: 'commit' },
    { state: 'committed' }
  ])
  const refused = { kind: 'decided', decision: 'abort' }
  t.match(decided([prepare(1)], {}, 1, 2).answer, { ...refused, reason: /the log is in 2/ })
  t.match(decided([], {}).answer, { ...refused, reason: /not prepared/ })
  t.match(decided([prepare(1)], { epoch: 2 as Term }, 1, 2).answer, refused)
  t.match(decided([prepare(1)], {}, 10_001).answer, { ...refused, reason: /time to decide/ })
  t.match(decided([prepare(1), abort(1)], {}).answer, refused)
})

t.test('T-16 a command that was executed before is not decided again', async (t) => {
  const tag: ClientTag = {
    clientId: toClientId('app'),
    serial: 3 as Serial,
    answeredBelow: 3 as Serial
  }
  const decided = (isNew: boolean) => {
    const at = { index: 1 as LogIndex, term: 1 as Term, now: 1, isNew: () => isNew }
    const state = new TransactionState(coordinator, limits)
    state.apply([prepare(1)], at)
    return state.apply([decide(1, { client: tag })], at)
  }
  t.match(decided(true), { answers: [{ decision: 'commit' }], answered: [{ tag }] })
  const again = decided(false)
  t.match(again.answers, [{ decision: 'abort', reason: /executed before/ }])
  t.same([again.commands, again.answered], [[], []], 'and nothing of it is executed')
})

t.test('a decision is kept until every group has acknowledged it', async (t) => {
  const replicas = new Replicas(coordinator)
  const [five, six] = [5, 6] as [GroupId, GroupId]
  replicas.apply([prepare(1), decide(1, { groups: [five, six] })])
  const settle = (groups: GroupId[], mixed: GroupId[] = []): Change => ({
    kind: 'settle',
    transaction: id(1),
    groups,
    mixed
  })
  t.match(replicas.apply([settle([five])]), [{ kind: 'settled', isForgotten: false }])
  replicas.apply([abort(9)], 5_000)
  t.equal(replicas.state.stateOf(id(1)), 'committed', 'beyond the retention of its end')
  t.match(replicas.apply([settle([six], [six])], 5_001), [{ isForgotten: true }])
  t.same(replicas.state.end(id(1))?.mixedGroups, [six], 'what differs stays')
  t.equal(replicas.state.decisionCount, 0)
})

t.test('ends are dropped after their retention, and nothing old is prepared again', async (t) => {
  const replicas = new Replicas()
  replicas.apply([prepare(2), commit(2, 70)], 100)
  replicas.apply([abort(8)], 1_099)
  t.equal(replicas.state.stateOf(id(2)), 'committed')
  replicas.apply([abort(9)], 1_100)
  t.equal(replicas.state.stateOf(id(2)), 'unknown')
  t.match(replicas.apply([prepare(2)]), [{ vote: 'no', reason: /too old/ }])
  t.match(replicas.apply([prepare(1)]), [{ vote: 'no', reason: /too old/ }])
  t.match(replicas.apply([commit(2, 70)]), [{ state: 'committed', alarm: null }], 'told once more')
  t.match(replicas.apply([commit(2, 71)]), [{ state: 'unknown' }])
  t.match(replicas.apply([prepare(3)]), [{ vote: 'yes' }])
})

t.test('at its bound the table drops the oldest end, and never what must be seen', async (t) => {
  const replicas = new Replicas()
  for (let n = 1; n <= 6; n++) replicas.apply([abort(n)], n)
  t.equal(replicas.state.endCount, 4)
  t.equal(replicas.state.stateOf(id(2)), 'unknown')
  t.equal(replicas.state.stateOf(id(3)), 'aborted')
  const other = new Replicas()
  for (let n = 1; n <= 4; n++) other.apply([prepare(n), commit(n), abort(n)], n)
  t.match(other.apply([prepare(5)], 9_000), [{ vote: 'no', reason: /too many ends/ }])
  other.apply([{ kind: 'forget', transaction: id(1) }], 9_000)
  t.match(other.apply([prepare(6)], 9_001), [{ vote: 'yes' }])
})

t.test('T-08 an operator decides, and the coordinator is compared', async (t) => {
  const resolve = (n: number, outcome: 'commit' | 'abort'): Change => ({
    kind: 'resolve',
    transaction: id(n),
    outcome,
    by: 'somebody',
    reason: 'the coordinator is lost'
  })
  const replicas = new Replicas()
  replicas.apply([prepare(1), prepare(2), resolve(1, 'commit'), resolve(2, 'abort')])
  t.same(replicas.commands, [1])
  t.equal(replicas.state.end(id(1))?.heuristic, 'unverified')
  replicas.apply([commit(1), commit(2)], 2)
  t.equal(replicas.state.end(id(1))?.heuristic, 'agreed')
  t.equal(replicas.state.end(id(2))?.heuristic, 'mixed')
  t.match(replicas.apply([resolve(3, 'commit')]), [{ state: 'unknown', alarm: null }])
  const coordinating = new Replicas(coordinator)
  coordinating.apply([prepare(1), resolve(1, 'commit')])
  t.same(coordinating.state.decision(id(1))?.pending, [own], 'here the word is the decision')
})

t.test(
  'R-M19 a commit of what was lost with the majority is told as mixed, and ends',
  async (t) => {
    const replicas = new Replicas()
    replicas.apply([prepare(1)])
    t.ok(replicas.state.mayPresumeAbort(1 as Term))
    replicas.apply([{ kind: 'recover', epoch: 9 as Term }], 100)
    t.notOk(replicas.state.mayPresumeAbort(9 as Term))
    t.ok(replicas.state.mayPresumeAbort(10 as Term))
    t.match(replicas.apply([commit(1)], 101), [{ state: 'committed', alarm: null }], 'it is held')
    t.match(replicas.apply([commit(2)], 101), [{ state: 'aborted', alarm: /lost .* committed/ }])
    t.match(replicas.state.end(id(2)), { heuristic: 'mixed', decidedAt: 50 })
    t.match(replicas.apply([commit(200)], 300), [{ state: 'unknown' }], 'it began afterwards')
  }
)
