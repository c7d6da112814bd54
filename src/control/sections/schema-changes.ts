/**
 * Changes of the schema of tables that are spread over groups: each is done in one group after the
 * other by whoever leads the control group, and how far it has come is written here.
 *
 * 1. A table has at most one change under way; one of no table in particular is alone.
 * 2. An id is one change: begun again it is the same, whoever asks and however often.
 * 3. Groups are done in the order in which they stand here, and none is left out.
 * 4. Who carries it out claims it with its term. A former leader's word changes nothing.
 * 5. A change that its first group refuses has changed nothing; one that a later group refuses
 *    stops there. Either is its end.
 * 6. Nobody has a group do it before a claim is written here, so one without a claim can be aborted
 *    and is done nowhere, for ever; one with a claim cannot: a group may have it.
 */
import type { GroupId, Term } from '../../core/ids.js'
import { schemaTextBytesMax } from '../../core/limits.js'
import {
  groupId,
  list,
  nullable,
  oneOf,
  struct,
  type TypeOf,
  term,
  text,
  u32,
  union
} from '../../wire/codec.js'
import { wallMs } from '../change-command.js'
import type { AppliedAt, ControlSection } from '../section.js'
import { placedDataGroupsMax } from './placement.js'

/** Under way at once, and ended ones that are kept. */
export const activeSchemaChangesMax = 16
export const endedSchemaChangesMax = 32
/** Characters of an ended one that are kept, and of a group's reason. */
export const schemaTextKeptLengthMax = 256
export const schemaReasonLengthMax = 512

/** 32 hex digits. */
const changeId = text(32)
const table = nullable(text(128))
const reason = text(4 * schemaReasonLengthMax)
const errorCode = text(64)

/** Append only: the position is the number in the log. */
export const schemaChangeStatuses = ['running', 'done', 'refused', 'stopped', 'aborted'] as const
export type SchemaChangeStatus = (typeof schemaChangeStatuses)[number]

const change = struct({
  id: changeId,
  /** Folded; null: an index by its own name, or all tables. */
  table,
  sql: text(schemaTextBytesMax),
  groups: list(groupId, placedDataGroupsMax),
  /** So many of the groups, from the first on, have it. */
  done: u32,
  /** Of whoever carries it out; 0: nobody yet. */
  epoch: term,
  status: oneOf(schemaChangeStatuses),
  /** What the group that is next said against it; empty: nothing. */
  code: errorCode,
  reason,
  begunAt: wallMs,
  changedAt: wallMs
})
export type SchemaChange = TypeOf<typeof change>

const state = struct({
  /** In the order of their beginning. */
  active: list(change, activeSchemaChangesMax),
  /** In the order of their end. */
  ended: list(change, endedSchemaChangesMax)
})
export type SchemaChangesState = TypeOf<typeof state>

const order = union({
  begin: [
    1,
    struct({
      id: changeId,
      table,
      sql: text(schemaTextBytesMax),
      groups: list(groupId, placedDataGroupsMax)
    })
  ],
  claim: [2, struct({ id: changeId, epoch: term })],
  advance: [3, struct({ id: changeId, epoch: term, group: groupId })],
  refuse: [4, struct({ id: changeId, epoch: term, group: groupId, code: errorCode, reason })],
  abort: [5, struct({ id: changeId, reason })]
})
export type SchemaOrder = TypeOf<typeof order>
type OrderOf<Kind extends SchemaOrder['kind']> = Extract<SchemaOrder, { kind: Kind }>

/** Append only. */
export const schemaRefusals = [
  'busy',
  'tooMany',
  'groups',
  'unknown',
  'formerLeader',
  /** A group was, or may have been, asked to do it. */
  'claimed'
] as const
export type SchemaRefusal = (typeof schemaRefusals)[number]

const answer = struct({
  refusal: nullable(oneOf(schemaRefusals)),
  /** The change that is in the way. */
  busyWith: nullable(changeId)
})
export type SchemaAnswer = TypeOf<typeof answer>

type Outcome = { readonly state: SchemaChangesState; readonly answer: SchemaAnswer }

export const schemaChangesSection: ControlSection<SchemaChangesState, SchemaOrder, SchemaAnswer> = {
  name: 'schema-changes',
  state,
  change: order,
  answer,
  initial: () => ({ active: [], ended: [] }),
  apply(before, order, at) {
    switch (order.kind) {
      case 'begin':
        return begin(before, order, at)
      case 'claim':
        return withCurrent(before, order, (found) =>
          replaced(before, { ...found, epoch: order.epoch })
        )
      case 'advance':
        return withCurrent(before, order, (found) => advance(before, found, order.group, at))
      case 'refuse':
        return withCurrent(before, order, (found) => refuse(before, found, order, at))
      case 'abort':
        return abort(before, order, at)
    }
  }
}

/** Under way or ended; null: never begun, or forgotten. */
export const schemaChangeById = (
  { active, ended }: SchemaChangesState,
  id: string
): SchemaChange | null =>
  active.find((one) => one.id === id) ?? ended.findLast((one) => one.id === id) ?? null

/** Where it is to be done next; null: nowhere. */
export const nextGroupOf = ({ groups, done, status }: SchemaChange): GroupId | null =>
  status === 'running' ? (groups[done] ?? null) : null

function begin(
  before: SchemaChangesState,
  { id, table, sql, groups }: OrderOf<'begin'>,
  { now }: AppliedAt
): Outcome {
  if (schemaChangeById(before, id) !== null) return accepted(before)
  if (groups.length === 0 || !isRising(groups)) return refused(before, 'groups')
  const busy = before.active.find(
    (one) => table === null || one.table === null || one.table === table
  )
  if (busy !== undefined) return refused(before, 'busy', busy.id)
  if (before.active.length >= activeSchemaChangesMax) return refused(before, 'tooMany')
  const begun: SchemaChange = {
    id,
    table,
    sql,
    groups,
    done: 0,
    epoch: 0 as Term,
    status: 'running',
    code: '',
    reason: '',
    begunAt: now,
    changedAt: now
  }
  return accepted({ ...before, active: [...before.active, begun] })
}

function withCurrent(
  before: SchemaChangesState,
  { id, epoch, kind }: Exclude<SchemaOrder, OrderOf<'begin' | 'abort'>>,
  act: (found: SchemaChange) => Outcome
): Outcome {
  const found = before.active.find((one) => one.id === id)
  if (found === undefined) return refused(before, 'unknown')
  const isFormer = kind === 'claim' ? epoch < found.epoch : epoch !== found.epoch
  return isFormer ? refused(before, 'formerLeader') : act(found)
}

function advance(
  before: SchemaChangesState,
  found: SchemaChange,
  group: GroupId,
  { now }: AppliedAt
): Outcome {
  // Told twice.
  if (nextGroupOf(found) !== group) return accepted(before)
  const next = { ...found, done: found.done + 1, changedAt: now }
  if (next.done < next.groups.length) return replaced(before, next)
  return ended(before, { ...next, status: 'done' })
}

function refuse(
  before: SchemaChangesState,
  found: SchemaChange,
  { group, code, reason }: OrderOf<'refuse'>,
  { now }: AppliedAt
): Outcome {
  if (nextGroupOf(found) !== group) return accepted(before)
  const status = found.done === 0 ? 'refused' : 'stopped'
  return ended(before, { ...found, status, code, reason, changedAt: now })
}

/** Told twice it is aborted, once. */
function abort(
  before: SchemaChangesState,
  { id, reason }: OrderOf<'abort'>,
  { now }: AppliedAt
): Outcome {
  const found = schemaChangeById(before, id)
  if (found === null) return refused(before, 'unknown')
  if (found.status === 'aborted') return accepted(before)
  if (found.status !== 'running' || found.epoch !== 0) return refused(before, 'claimed')
  return ended(before, { ...found, status: 'aborted', reason, changedAt: now })
}

const replaced = (before: SchemaChangesState, next: SchemaChange): Outcome =>
  accepted({
    ...before,
    active: before.active.map((one) => (one.id === next.id ? next : one))
  })

const ended = ({ active, ended }: SchemaChangesState, last: SchemaChange): Outcome =>
  accepted({
    active: active.filter(({ id }) => id !== last.id),
    ended: [...ended, { ...last, sql: beginningOf(last.sql) }].slice(-endedSchemaChangesMax)
  })

/** No character is cut in two. */
const beginningOf = (sql: string): string =>
  sql.slice(0, schemaTextKeptLengthMax).replace(/[\ud800-\udbff]$/, '')

const isRising = (groups: readonly GroupId[]): boolean =>
  groups.every((group, i) => i === 0 || (groups[i - 1] as GroupId) < group)

const accepted = (state: SchemaChangesState): Outcome => ({
  state,
  answer: { refusal: null, busyWith: null }
})

const refused = (
  state: SchemaChangesState,
  refusal: SchemaRefusal,
  busyWith: string | null = null
): Outcome => ({ state, answer: { refusal, busyWith } })
