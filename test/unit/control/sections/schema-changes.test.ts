import t from 'tap'
import {
  activeSchemaChangesMax,
  endedSchemaChangesMax,
  nextGroupOf,
  type SchemaOrder,
  schemaChangeById,
  schemaChangesSection,
  schemaReasonLengthMax
} from '../../../../src/control/sections/schema-changes.js'
import type { GroupId, Term } from '../../../../src/core/ids.js'
import { schemaTextBytesMax } from '../../../../src/core/limits.js'
import { SectionRun } from './run-section.js'

const groups = [1, 2, 3] as GroupId[]
const first = 7 as Term
const accepted = { refusal: null, busyWith: null }

const begin = (id: string, changes: Partial<Extract<SchemaOrder, { kind: 'begin' }>> = {}) =>
  ({ kind: 'begin', id, table: 'accounts', sql: 'ALTER …', groups, ...changes }) as const
const claim = (id: string, epoch = first) => ({ kind: 'claim', id, epoch }) as const
const advance = (id: string, group: number, epoch = first) =>
  ({ kind: 'advance', id, epoch, group: group as GroupId }) as const
const refuse = (id: string, group: number, epoch = first) =>
  ({
    kind: 'refuse',
    id,
    epoch,
    group: group as GroupId,
    code: 'ERR_SKEIN_SQL',
    reason: 'duplicate column'
  }) as const

function begun() {
  const run = new SectionRun(schemaChangesSection)
  run.apply(begin('x'))
  run.apply(claim('x'))
  return { run, change: () => schemaChangeById(run.state, 'x') }
}

t.test('a change goes from group to group, each told any number of times', async (t) => {
  const { run, change } = begun()
  t.match(change(), { status: 'running', done: 0, epoch: 7 })
  for (const group of [2, 1, 1, 3, 2, 1]) t.same(run.apply(advance('x', group)), accepted)
  t.match(change(), { status: 'running', done: 2 }, 'none is left out')
  run.apply(advance('x', 3))
  t.match(change(), { status: 'done', done: 3 })
  t.match(run.apply(advance('x', 3)), { refusal: 'unknown' }, 'it is over')
  t.same(run.state.active, [])
})

t.test('begun again it is the same, under way and after its end', async (t) => {
  const { run, change } = begun()
  run.apply(advance('x', 1))
  t.same(run.apply(begin('x')), accepted)
  t.match(change(), { done: 1 })
  run.apply(refuse('x', 2))
  t.same(run.apply(begin('x')), accepted)
  t.match(change(), { status: 'stopped', code: 'ERR_SKEIN_SQL', reason: 'duplicate column' })
  t.same(run.state.active, [])
})

t.test('it is aborted before anybody claims it, and not after', async (t) => {
  const run = new SectionRun(schemaChangesSection)
  const abort = (id: string) => ({ kind: 'abort', id, reason: 'aborted by ann' }) as const
  t.match(run.apply(abort('y')), { refusal: 'unknown' })
  run.apply(begin('y'))
  t.same(run.apply(abort('y')), accepted)
  t.match(schemaChangeById(run.state, 'y'), {
    status: 'aborted',
    reason: 'aborted by ann',
    done: 0
  })
  t.match(run.apply(claim('y')), { refusal: 'unknown' }, 'nobody has it done any more')
  t.same(run.apply(abort('y')), accepted, 'twice is once')
  const claimed = begun()
  t.match(claimed.run.apply(abort('x')), { refusal: 'claimed' })
  t.match(claimed.change(), { status: 'running' })
  claimed.run.apply(refuse('x', 1))
  t.match(claimed.run.apply(abort('x')), { refusal: 'claimed' }, 'it has ended')
})

t.test('what the first group refuses has changed nothing; a later one stops it', async (t) => {
  const { run, change } = begun()
  t.same(run.apply(refuse('x', 2)), accepted, 'not its turn')
  t.match(change(), { status: 'running' })
  run.apply(refuse('x', 1))
  t.match(change(), { status: 'refused', done: 0 })
  const other = begun()
  other.run.apply(advance('x', 1))
  other.run.apply(refuse('x', 1))
  t.match(other.change(), { status: 'running', done: 1 }, 'it had done it')
  other.run.apply(refuse('x', 2))
  t.match(other.change(), { status: 'stopped', done: 1 })
})

t.test('a table has one change under way; one of no table is alone', async (t) => {
  const { run } = begun()
  t.same(run.apply(begin('y')), { refusal: 'busy', busyWith: 'x' })
  t.same(run.apply(begin('y', { table: null })), { refusal: 'busy', busyWith: 'x' })
  t.same(run.apply(begin('y', { table: 'words' })), accepted)
  run.apply(refuse('x', 1))
  t.same(run.apply(begin('z', { table: null })), { refusal: 'busy', busyWith: 'y' })
  run.apply(claim('y'))
  run.apply(refuse('y', 1))
  t.same(run.apply(begin('z', { table: null })), accepted)
  t.same(run.apply(begin('w')), { refusal: 'busy', busyWith: 'z' })
})

t.test('a former leader’s word changes nothing', async (t) => {
  const { run, change } = begun()
  t.match(run.apply(advance('x', 1, 8 as Term)), { refusal: 'formerLeader' }, 'not claimed')
  t.same(run.apply(claim('x', 8 as Term)), accepted)
  t.match(run.apply(claim('x')), { refusal: 'formerLeader' })
  t.match(run.apply(refuse('x', 1)), { refusal: 'formerLeader' })
  t.match(run.apply(advance('x', 1)), { refusal: 'formerLeader' })
  t.match(change(), { status: 'running', done: 0, epoch: 8 })
  const other = new SectionRun(schemaChangesSection)
  other.apply(begin('x'))
  t.match(other.apply(advance('x', 1)), { refusal: 'formerLeader' })
})

t.test('groups are some, in rising order', async (t) => {
  const run = new SectionRun(schemaChangesSection)
  for (const bad of [[], [2, 1], [1, 1]]) {
    t.match(run.apply(begin('x', { groups: bad as GroupId[] })), { refusal: 'groups' })
  }
  t.equal(schemaChangeById(run.state, 'x'), null)
})

t.test('everything is bounded, and at its bound fits a message', async (t) => {
  const run = new SectionRun(schemaChangesSection)
  const sql = 'x'.repeat(schemaTextBytesMax)
  const many = Array.from({ length: 1_024 }, (_, i) => i as GroupId)
  const reason = '語'.repeat(schemaReasonLengthMax)
  const name = (i: number) => String(i).padStart(32, '0')
  for (let i = 0; i < endedSchemaChangesMax + 3; i++) {
    run.apply(begin(name(i), { table: `t${i}`.padEnd(128, 'x'), sql, groups: many }))
    run.apply(claim(name(i)))
    run.apply({ ...refuse(name(i), 0), reason })
  }
  t.equal(run.state.ended.length, endedSchemaChangesMax)
  t.equal(schemaChangeById(run.state, name(2)), null, 'the oldest are forgotten')
  t.equal(schemaChangeById(run.state, name(3))?.sql.length, 256)
  for (let i = 100; i < 100 + activeSchemaChangesMax; i++) {
    const order = begin(name(i), { table: `t${i}`.padEnd(128, 'x'), sql, groups: many })
    t.same(run.apply(order), accepted)
  }
  t.match(run.apply(begin('x')), { refusal: 'tooMany' })
})

t.test('the next group is none when it is over', async (t) => {
  const { run, change } = begun()
  const next = () => {
    const found = change()
    return found === null ? undefined : nextGroupOf(found)
  }
  t.equal(next(), 1)
  run.apply(refuse('x', 1))
  t.equal(next(), null)
})
