import t from 'tap'
import { encodeWith, sectionStateBytesMax } from '../../../../src/control/change-command.js'
import {
  groupVotersMax,
  type PlacedGroup,
  type PlacementChange,
  placedDataGroupsMax,
  placedRangesMax,
  placedTable,
  placedTablesMax,
  placedVotersMax,
  placementSection,
  tableRangesMax
} from '../../../../src/control/sections/placement.js'
import { CONTROL_GROUP, type GroupId, type NodeId } from '../../../../src/core/ids.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { groupOf } from '../../../../src/routing/sharding/shard-map.js'
import { SectionRun } from './run-section.js'

const id = (group: number) => group as GroupId
const placed = (group: number, ...voters: string[]): PlacedGroup => ({
  group: id(group),
  voters: voters as NodeId[],
  leader: null
})
const setGroup = (group: PlacedGroup, expectedVersion: number | null = null): PlacementChange => ({
  kind: 'setGroup',
  expectedVersion,
  placed: group
})
const setTable = (table: string, ...ranges: [number, number][]): PlacementChange => ({
  kind: 'setTable',
  expectedVersion: null,
  placed: {
    table,
    shardKey: 'id',
    ranges: ranges.map(([from, group]) => ({ from, group: id(group) }))
  }
})
const removeGroup = (group: number): PlacementChange => ({
  kind: 'removeGroup',
  expectedVersion: null,
  group: id(group)
})

const withGroups = (count: number) => {
  const run = new SectionRun(placementSection)
  const groups = Array.from({ length: count }, (_, group) => placed(group, 'a', 'b', 'c'))
  for (let i = 0; i < count; i += 8) run.apply({ kind: 'adopt', groups: groups.slice(i, i + 8) })
  return run
}

t.test('groups are placed, group 0 first, and leave when nothing is in them', async (t) => {
  const run = new SectionRun(placementSection)
  t.match(run.apply(setGroup(placed(1, 'a'))), { refusal: 'unknownGroup', version: 0 })
  t.match(run.apply(setGroup(placed(0, 'a', 'b'))), { refusal: null, version: 1 })
  t.match(run.apply(setGroup(placed(1, 'b', 'c'))), { refusal: null, version: 2 })
  t.match(run.apply(setTable('t', [0, 0], [100, 1])), { refusal: null })
  t.match(run.apply(removeGroup(1)), { refusal: 'inUse' })
  t.match(run.apply(removeGroup(0)), { refusal: 'inUse' })
  t.match(run.apply(removeGroup(7)), { refusal: 'unknownGroup' })
  t.match(run.apply(setTable('t', [0, 0])), { refusal: null })
  t.match(run.apply(removeGroup(1)), { refusal: null })
  t.same(
    run.state.groups.map(({ group }) => group),
    [0]
  )
})

t.test('who has seen another version is refused', async (t) => {
  const run = withGroups(1)
  const { version } = run.state
  t.match(run.apply(setGroup(placed(1, 'a'), version + 1)), { refusal: 'changed', version })
  t.match(run.apply(setGroup(placed(1, 'a'), version)), { refusal: null, version: version + 1 })
  t.match(run.apply(setGroup(placed(2, 'a'), version)), { refusal: 'changed' })
})

t.test('what makes no sense is refused, with the reason', async (t) => {
  const run = withGroups(2)
  const bad: [PlacementChange, string][] = [
    [setGroup(placed(CONTROL_GROUP, 'a')), 'notData'],
    [setGroup(placed(1)), 'voters'],
    [setGroup(placed(1, 'b', 'a')), 'voters'],
    [setGroup(placed(1, 'a', 'a')), 'voters'],
    [setGroup({ ...placed(1, 'a'), leader: 'z' as NodeId }), 'leader'],
    [setTable('t'), 'ranges'],
    [setTable('t', [1, 0]), 'ranges'],
    [setTable('t', [0, 0], [5, 1], [5, 0]), 'ranges'],
    [setTable('t', [0, 0], [5, 9]), 'unknownGroup'],
    [{ kind: 'removeTable', expectedVersion: null, table: 't' }, 'unknownTable'],
    [{ kind: 'adopt', groups: [placed(3)] }, 'voters']
  ]
  const before = run.state
  for (const [change, refusal] of bad) t.match(run.apply(change), { refusal })
  t.same(run.state, before)
})

t.test('what is adopted leaves alone what is placed', async (t) => {
  const run = new SectionRun(placementSection)
  t.match(run.apply({ kind: 'adopt', groups: [placed(1, 'a')] }), { refusal: 'unknownGroup' })
  run.apply({ kind: 'adopt', groups: [placed(0, 'a')] })
  run.apply({ kind: 'adopt', groups: [placed(0, 'x'), placed(2, 'c'), placed(1, 'b')] })
  t.same(
    run.state.groups.map(({ group, voters }) => [group, ...voters]),
    [
      [0, 'a'],
      [1, 'b'],
      [2, 'c']
    ]
  )
})

t.test('every hash is in one range: a linear twin finds the same group', async (t) => {
  const random = SplittableRandom.fromSeed(6)
  for (let round = 0; round < 100; round++) {
    const run = withGroups(8)
    const starts = new Set([0])
    const count = 1 + random.nextInt(40)
    while (starts.size < count) starts.add(random.nextUint32())
    const ranges = [...starts]
      .sort((a, b) => a - b)
      .map((from): [number, number] => [from, random.nextInt(8)])
    t.match(run.apply(setTable('t', ...ranges)), { refusal: null })
    const table = placedTable(run.state, 't')
    if (table === null) throw new Error('no table')
    const probes = [0, 0xffff_ffff, ...ranges.flatMap(([from]) => [from, Math.max(0, from - 1)])]
    for (const hash of probes) {
      const twin = ranges.findLast(([from]) => from <= hash)?.[1]
      if (groupOf(table, hash) !== twin) t.fail(`hash ${hash}`)
    }
  }
  t.pass('100 tables')
})

t.test('bounds hold, and all of them together fit a message', async (t) => {
  const run = new SectionRun(placementSection)
  const voters = Array.from(
    { length: placedVotersMax / placedDataGroupsMax },
    (_, i) => `${'v'.repeat(58)}${String(i).padStart(5, '0')}`
  )
  const apply = (change: PlacementChange) => {
    const applied = placementSection.apply(run.state, change, run.at)
    run.state = applied.state
    return applied.answer
  }
  for (let group = 0; group < placedDataGroupsMax; group++) {
    const leader = voters[0] as NodeId
    const { refusal } = apply(setGroup({ ...placed(group, ...voters), leader }))
    if (refusal !== null) t.fail(`group ${group}: ${refusal}`)
  }
  t.match(apply(setGroup(placed(placedDataGroupsMax, 'a'))), { refusal: 'tooMany' })
  const wide = Array.from({ length: groupVotersMax }, (_, i) => `w${String(i).padStart(3, '0')}`)
  t.match(apply(setGroup(placed(1, ...wide))), { refusal: 'tooMany' })
  const ranges = Array.from({ length: tableRangesMax }, (_, i): [number, number] => [i * 7, i])
  const wideTables = placedRangesMax / tableRangesMax
  for (let i = 0; i < wideTables; i++) {
    t.match(apply(setTable(`${'t'.repeat(120)}${i}`, ...ranges)), { refusal: null })
  }
  t.match(apply(setTable('more', [0, 0])), { refusal: 'tooMany' })
  const few = new SectionRun(placementSection)
  few.apply({ kind: 'adopt', groups: [placed(0, 'a')] })
  for (let i = 0; i < placedTablesMax; i++) {
    const { refusal } = few.apply(setTable(`t${i}`, [0, 0]))
    if (refusal !== null) t.fail(`table ${i}: ${refusal}`)
  }
  t.match(few.apply(setTable('more', [0, 0])), { refusal: 'tooMany' })
  t.ok(encodeWith(placementSection.state, run.state, sectionStateBytesMax).length > 0)
})
