import { DEFAULT_GROUP, type GroupId } from '../../core/ids.js'

export interface ShardRange {
  /** The lowest hash in it; the next range's is the first beyond. */
  readonly from: number
  readonly group: GroupId
}

export interface ShardedTable {
  readonly table: string
  /** The column by whose value rows are spread. */
  readonly shardKey: string
  /** From hash 0 on, rising. */
  readonly ranges: readonly ShardRange[]
}

/** Which tables are sharded; all others live in group 0. Names are as SQLite folds them. */
export class ShardMap {
  readonly version: number
  readonly #tables: ReadonlyMap<string, ShardedTable>

  constructor(version: number, tables: readonly ShardedTable[]) {
    this.version = version
    this.#tables = new Map(tables.map((one) => [foldedName(one.table), one]))
  }

  get tables(): readonly ShardedTable[] {
    return [...this.#tables.values()]
  }

  get isEmpty(): boolean {
    return this.#tables.size === 0
  }

  /** @param name folded */
  table(name: string): ShardedTable | undefined {
    return this.#tables.get(name)
  }
}

/** As others are told; undefined: this node knows nothing of it. */
export const toldShards = (map: ShardMap) =>
  map.version === 0 ? undefined : { version: map.version, tables: map.tables }

export const unsharded = new ShardMap(0, [])

/** SQLite folds the letters of ASCII alone. */
export const foldedName = (name: string): string =>
  name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

export function groupOf({ ranges }: ShardedTable, hash: number): GroupId {
  let low = 0
  let high = ranges.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((ranges[middle] as ShardRange).from <= hash) low = middle
    else high = middle - 1
  }
  return ranges[low]?.group ?? DEFAULT_GROUP
}

/** In the order of their ids, each once. */
export const groupsOf = ({ ranges }: ShardedTable): GroupId[] =>
  [...new Set(ranges.map(({ group }) => group))].sort((a, b) => a - b)
