/**
 * Where data lives: which groups there are and on whose nodes, and which group a row belongs to, by
 * a hash of its table's shard key. What is placed here is what is wanted; who votes in a group is
 * told by the group's own log.
 *
 * 1. Group 0 exists from the first change on and never goes: it holds the tables without a key.
 * 2. The ranges of a table begin at 0 and rise, so that every hash is in one of them.
 * 3. A range names a group that is placed.
 * 4. The version counts the changes that were done; a writer may demand the one it has seen.
 */
import {
  CONTROL_GROUP,
  compareText,
  DEFAULT_GROUP,
  type GroupId,
  type NodeId
} from '../../core/ids.js'
import {
  groupId,
  list,
  nodeId,
  nullable,
  oneOf,
  struct,
  type TypeOf,
  text,
  u32,
  u64,
  union
} from '../../wire/codec.js'
import type { ControlSection } from '../section.js'

/** Everything at its bound, encoded, fits into a message. */
export const placedDataGroupsMax = 1_024
/** Of all groups together, and of one. */
export const placedVotersMax = 8_192
export const groupVotersMax = 64
/** In one change, so that it fits into a command. */
export const adoptedGroupsMax = 8
export const placedTablesMax = 256
/** Of all tables together. */
export const placedRangesMax = 8_192
/** Of one table, so that a change fits into a command. */
export const tableRangesMax = 1_024

const group = struct({
  group: groupId,
  /** Sorted. */
  voters: list(nodeId, groupVotersMax),
  /** Who should lead while it can; null: anybody. */
  leader: nullable(nodeId)
})
export type PlacedGroup = TypeOf<typeof group>

const range = struct({ from: u32, group: groupId })
export type HashRange = TypeOf<typeof range>

const table = struct({
  table: text(128),
  /** The column by whose value rows are spread. */
  shardKey: text(128),
  ranges: list(range, tableRangesMax)
})
export type PlacedTable = TypeOf<typeof table>

const state = struct({
  version: u64,
  /** Sorted by their ids. */
  groups: list(group, placedDataGroupsMax),
  /** Sorted by their names. Those that are not here live in group 0. */
  tables: list(table, placedTablesMax)
})
export type PlacementState = TypeOf<typeof state>

/** Null: whatever it is by now. */
const expected = { expectedVersion: nullable(u64) } as const

const change = union({
  setGroup: [1, struct({ ...expected, placed: group })],
  removeGroup: [2, struct({ ...expected, group: groupId })],
  setTable: [3, struct({ ...expected, placed: table })],
  removeTable: [4, struct({ ...expected, table: text(128) })],
  /** Places those that are not placed yet, and leaves the others. */
  adopt: [5, struct({ groups: list(group, adoptedGroupsMax) })]
})
export type PlacementChange = TypeOf<typeof change>

export const placementRefusals = [
  'changed',
  'notData',
  'voters',
  'leader',
  'ranges',
  'unknownGroup',
  'unknownTable',
  'inUse',
  'tooMany'
] as const
export type PlacementRefusal = (typeof placementRefusals)[number]

const answer = struct({ refusal: nullable(oneOf(placementRefusals)), version: u64 })
export type PlacementAnswer = TypeOf<typeof answer>

type Outcome = { readonly state: PlacementState; readonly answer: PlacementAnswer }

export const placementSection: ControlSection<PlacementState, PlacementChange, PlacementAnswer> = {
  name: 'placement',
  state,
  change,
  answer,
  initial: () => ({ version: 0, groups: [], tables: [] }),
  apply(before, change) {
    const isStale = 'expectedVersion' in change && isOther(change.expectedVersion, before.version)
    const next = isStale ? 'changed' : changed(before, change)
    return typeof next === 'string' ? refused(before, next) : done(before, next)
  }
}

export const placedTable = ({ tables }: PlacementState, name: string): PlacedTable | null =>
  tables.find(({ table }) => table === name) ?? null

type Placed = Pick<PlacementState, 'groups' | 'tables'>

const isOther = (expected: number | null, version: number): boolean =>
  expected !== null && expected !== version

function changed(before: PlacementState, change: PlacementChange): Placed | PlacementRefusal {
  switch (change.kind) {
    case 'setGroup':
      return setGroup(before, change.placed)
    case 'removeGroup':
      return removeGroup(before, change.group)
    case 'setTable':
      return setTable(before, change.placed)
    case 'removeTable':
      return removeTable(before, change.table)
    case 'adopt':
      return adopt(before, change.groups)
  }
}

function setGroup({ groups, tables }: Placed, placed: PlacedGroup): Placed | PlacementRefusal {
  const fault = groupFault(placed)
  if (fault !== null) return fault
  const others = groups.filter(({ group }) => group !== placed.group)
  // Group 0 is placed with the first change, whichever it is.
  if (others.length === 0 && placed.group !== DEFAULT_GROUP) return 'unknownGroup'
  return withGroups([...others, placed], tables)
}

function removeGroup({ groups, tables }: Placed, gone: GroupId): Placed | PlacementRefusal {
  if (gone === DEFAULT_GROUP) return 'inUse'
  if (!groups.some(({ group }) => group === gone)) return 'unknownGroup'
  const isUsed = tables.some(({ ranges }) => ranges.some(({ group }) => group === gone))
  return isUsed ? 'inUse' : { groups: groups.filter(({ group }) => group !== gone), tables }
}

function setTable({ groups, tables }: Placed, placed: PlacedTable): Placed | PlacementRefusal {
  const others = tables.filter(({ table }) => table !== placed.table)
  const rangesCount = others.reduce((sum, { ranges }) => sum + ranges.length, placed.ranges.length)
  if (others.length >= placedTablesMax || rangesCount > placedRangesMax) return 'tooMany'
  if (!areRanges(placed.ranges)) return 'ranges'
  const known = new Set(groups.map(({ group }) => group))
  if (placed.ranges.some(({ group }) => !known.has(group))) return 'unknownGroup'
  const sorted = [...others, placed].sort((a, b) => compareText(a.table, b.table))
  return { groups, tables: sorted }
}

function removeTable({ groups, tables }: Placed, gone: string): Placed | PlacementRefusal {
  const others = tables.filter(({ table }) => table !== gone)
  return others.length === tables.length ? 'unknownTable' : { groups, tables: others }
}

function adopt(
  { groups, tables }: Placed,
  found: readonly PlacedGroup[]
): Placed | PlacementRefusal {
  const fault = found.map(groupFault).find((one) => one !== null)
  if (fault !== undefined) return fault
  const byId = new Map(groups.map((one) => [one.group, one]))
  for (const one of found) if (!byId.has(one.group)) byId.set(one.group, one)
  if (!byId.has(DEFAULT_GROUP)) return 'unknownGroup'
  return withGroups([...byId.values()], tables)
}

function withGroups(groups: readonly PlacedGroup[], tables: Placed['tables']): Placed | 'tooMany' {
  const votersCount = groups.reduce((sum, { voters }) => sum + voters.length, 0)
  if (groups.length > placedDataGroupsMax || votersCount > placedVotersMax) return 'tooMany'
  return { groups: [...groups].sort((a, b) => a.group - b.group), tables }
}

function groupFault({ group, voters, leader }: PlacedGroup): PlacementRefusal | null {
  if (group === CONTROL_GROUP) return 'notData'
  if (voters.length === 0 || !isRising(voters)) return 'voters'
  return leader !== null && !voters.includes(leader) ? 'leader' : null
}

const isRising = (nodes: readonly NodeId[]): boolean =>
  nodes.every((node, i) => i === 0 || compareText(nodes[i - 1] as NodeId, node) < 0)

const areRanges = (ranges: readonly HashRange[]): boolean =>
  ranges.length > 0 &&
  ranges.every(({ from }, i) => (i === 0 ? from === 0 : from > (ranges[i - 1] as HashRange).from))

const done = ({ version }: PlacementState, { groups, tables }: Placed): Outcome => ({
  state: { version: version + 1, groups, tables },
  answer: { refusal: null, version: version + 1 }
})

const refused = (state: PlacementState, refusal: PlacementRefusal): Outcome => ({
  state,
  answer: { refusal, version: state.version }
})
