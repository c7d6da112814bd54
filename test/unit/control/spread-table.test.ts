import t from 'tap'
import type { PlacementState } from '../../../src/control/sections/placement.js'
import { spreadTable } from '../../../src/control/spread-table.js'
import type { GroupId, NodeId } from '../../../src/core/ids.js'

const stateOf = (groups: number, tables: PlacementState['tables'] = []): PlacementState => ({
  version: 1,
  groups: Array.from({ length: groups }, (_, group) => ({
    group: group as GroupId,
    voters: ['a' as NodeId],
    leader: null
  })),
  tables
})

t.test(
  'the hashes are divided evenly over all groups but 0, or over those asked for',
  async (t) => {
    const spread = spreadTable(stateOf(4), { table: 'Accounts', shardKey: 'ID' })
    t.same(spread, {
      table: 'accounts',
      shardKey: 'id',
      ranges: [
        { from: 0, group: 1 },
        { from: 1_431_655_765, group: 2 },
        { from: 2_863_311_530, group: 3 }
      ]
    })
    const groups = [3, 1] as GroupId[]
    const two = spreadTable(stateOf(4), { table: 'accounts', shardKey: 'id', groups })
    t.same(two?.ranges, [
      { from: 0, group: 3 },
      { from: 2 ** 31, group: 1 }
    ])
  }
)

t.test(
  'the same again is harmless; what would move rows, or makes no sense, is refused',
  async (t) => {
    const wanted = { table: 'accounts', shardKey: 'id' }
    const placed = spreadTable(stateOf(3), wanted)
    if (placed === null) throw new Error('it was not placed')
    const state = stateOf(4, [placed])
    t.equal(spreadTable(state, wanted), null, 'though there are more groups by now')
    const refused = (reason: string) => ({
      code: 'ERR_SKEIN_CHANGE_REFUSED',
      details: { section: 'placement', reason }
    })
    t.throws(() => spreadTable(state, { ...wanted, shardKey: 'owner' }), refused('placed'))
    t.throws(() => spreadTable(state, { ...wanted, groups: [1 as GroupId] }), refused('placed'))
    t.throws(() => spreadTable(stateOf(1), wanted), refused('noGroups'))
    for (const [wrong, message] of [
      [{ table: 'a b' }, /table/],
      [{ shardKey: '' }, /shardKey/],
      [{ groups: [0 as GroupId] }, /groups: without 0/],
      [{ groups: [1, 1] as GroupId[] }, /groups: each once/]
    ] as const) {
      t.throws(() => spreadTable(stateOf(3), { ...wanted, ...wrong }), {
        code: 'ERR_SKEIN_INVALID_ARGUMENT',
        message
      })
    }
  }
)
