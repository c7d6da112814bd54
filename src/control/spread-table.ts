/** How a table's rows are spread when an operator asks for it. */
import { ChangeRefusedError, InvalidArgumentError } from '../core/errors.js'
import { DEFAULT_GROUP, type GroupId } from '../core/ids.js'
import {
  type PlacedTable,
  type PlacementRefusal,
  type PlacementState,
  placedTable,
  placementSection
} from './sections/placement.js'

/** A name that needs no quotes, so that it is the same name wherever it stands. */
const plainName = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/
const hashesCount = 2 ** 32

interface Wanted {
  readonly table: string
  readonly shardKey: string
  readonly groups?: readonly GroupId[] | undefined
}

/**
 * Null: it is spread like that already.
 * @throws InvalidArgumentError, ChangeRefusedError its rows would have to move
 */
export function spreadTable(state: PlacementState, wanted: Wanted): PlacedTable | null {
  const { table, shardKey } = wanted
  for (const [field, name] of Object.entries({ table, shardKey })) {
    if (typeof name !== 'string' || !plainName.test(name)) {
      throw new InvalidArgumentError(field, 'must be a name of letters, digits and _, at most 63')
    }
  }
  const placed = placedTable(state, table.toLowerCase())
  const known = state.groups.map(({ group }) => group).filter((group) => group !== DEFAULT_GROUP)
  const groups = wanted.groups ?? placed?.ranges.map(({ group }) => group) ?? known
  if (groups.length === 0) throw placementRefused('noGroups')
  if (groups.includes(DEFAULT_GROUP)) {
    throw new InvalidArgumentError('groups', 'without 0, which holds the tables that are whole')
  }
  if (new Set(groups).size < groups.length) {
    throw new InvalidArgumentError('groups', 'each once')
  }
  const ranges = groups.map((group, i) => ({
    from: Math.floor((i * hashesCount) / groups.length),
    group
  }))
  const next = { table: table.toLowerCase(), shardKey: shardKey.toLowerCase(), ranges }
  if (placed === null) return next
  if (isSame(placed, next)) return null
  throw placementRefused('placed')
}

const isSame = (a: PlacedTable, b: PlacedTable): boolean =>
  a.shardKey === b.shardKey &&
  a.ranges.length === b.ranges.length &&
  a.ranges.every(({ from, group }, i) => {
    const other = b.ranges[i]
    return other?.from === from && other.group === group
  })

export function placementRefused(reason: PlacementRefusal | keyof typeof further) {
  const why =
    reason in meanings ? meanings[reason as PlacementRefusal] : further[reason as 'placed']
  return new ChangeRefusedError(`the placement stays: ${why}`, {
    details: { section: placementSection.name, reason }
  })
}

const further = {
  placed: 'the table is spread otherwise, and its rows would have to move',
  noGroups: 'there is no group but 0; found the cluster with more (cluster.groups)'
} as const

const meanings: Readonly<Record<PlacementRefusal, string>> = {
  changed: 'it was changed meanwhile; look at it and ask again',
  notData: 'the control group holds no tables',
  voters: 'voters are sorted, each once, at least one',
  leader: 'who should lead is no voter',
  ranges: 'the ranges of a table begin at 0 and rise',
  unknownGroup: 'no such group is placed',
  unknownTable: 'no such table is spread',
  inUse: 'tables live in the group',
  tooMany: 'too many groups, tables or ranges'
}
