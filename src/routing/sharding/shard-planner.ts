/**
 * Where the statements of one request go: to one group, to each of several, or nowhere without the
 * caller's word. What a text says is worked out once; only parameters are filled in after.
 *
 * 1. Without sharded tables everything goes to group 0, and nothing is looked at.
 * 2. A plan is of one version of the map: another one forgets what was worked out.
 */
import { InvalidArgumentError, ShardKeyRequiredError, SqlRefusedError } from '../../core/errors.js'
import { DEFAULT_GROUP, type GroupId } from '../../core/ids.js'
import type { SqlValue, Statement } from '../../core/sql.js'
import { resolved } from './key-value.js'
import { shapeOf } from './shape-reader.js'
import { shardHashOf } from './shard-hash.js'
import { foldedName, groupOf, groupsOf, type ShardedTable, type ShardMap } from './shard-map.js'
import type { Merge, StatementShape } from './statement-shape.js'

/** Texts whose shapes are remembered; the one used longest ago is forgotten. */
export const statementShapesMax = 1_024
/** Longer texts are looked at each time. */
export const shapedTextLengthMax = 4_096

export type ShardPlan =
  | { readonly kind: 'one'; readonly group: GroupId }
  /** A read of one statement, by all of these. */
  | { readonly kind: 'scattered'; readonly groups: readonly GroupId[]; readonly merge: Merge }
  /** The statements of each group, by their places in the request: one distributed transaction. */
  | { readonly kind: 'several'; readonly parts: readonly ShardPart[] }
  /** A change of the schema, in each of these, or null: in every group. */
  | {
      readonly kind: 'definition'
      readonly table: string | null
      readonly groups: readonly GroupId[] | null
    }

export interface ShardPart {
  readonly group: GroupId
  readonly statements: readonly number[]
}

export function firstGroupOf(plan: ShardPlan): GroupId {
  switch (plan.kind) {
    case 'one':
      return plan.group
    case 'scattered':
      return plan.groups[0] ?? DEFAULT_GROUP
    case 'definition':
      return plan.groups?.[0] ?? DEFAULT_GROUP
    case 'several':
      return plan.parts[0]?.group ?? DEFAULT_GROUP
  }
}

const group0: ShardPlan = { kind: 'one', group: DEFAULT_GROUP }

export class ShardPlanner {
  readonly #shapes = new Map<string, StatementShape>()
  #version = 0

  /**
   * @param shardKey the caller's: every statement is about rows with this key
   * @throws ShardKeyRequiredError, SqlRefusedError, InvalidArgumentError, SqlError
   */
  plan(map: ShardMap, statements: readonly Statement[], shardKey?: SqlValue): ShardPlan {
    if (map.isEmpty) return group0
    if (map.version !== this.#version) this.#forget(map.version)
    const [only, second] = statements
    if (only !== undefined && second === undefined) return this.#planOne(map, only, shardKey)
    return this.#planList(map, statements, shardKey)
  }

  get remembered(): number {
    return this.#shapes.size
  }

  #planOne(map: ShardMap, statement: Statement, shardKey: SqlValue | undefined): ShardPlan {
    const shape = this.#shapeOf(statement.sql, map)
    if (shape.kind === 'definition') {
      const { table } = shape
      if (table === null) return { kind: 'definition', table, groups: null }
      return { kind: 'definition', table: foldedName(table.table), groups: groupsOf(table) }
    }
    if (shape.kind === 'scattered' && shardKey === undefined) {
      const groups = groupsOf(shape.table)
      const [first, other] = groups
      if (first !== undefined && other === undefined) return { kind: 'one', group: first }
      return { kind: 'scattered', groups, merge: shape.merge }
    }
    return { kind: 'one', group: this.#groupOf(shape, statement, shardKey) }
  }

  #planList(
    map: ShardMap,
    statements: readonly Statement[],
    shardKey: SqlValue | undefined
  ): ShardPlan {
    const parts = new Map<GroupId, number[]>()
    for (const [i, statement] of statements.entries()) {
      const shape = this.#shapeOf(statement.sql, map)
      if (shape.kind === 'definition') {
        throw new SqlRefusedError('a change of the schema of sharded tables is sent alone')
      }
      const group = this.#groupOf(shape, statement, shardKey)
      const part = parts.get(group)
      if (part === undefined) parts.set(group, [i])
      else part.push(i)
    }
    const [only, other] = parts.keys()
    if (only !== undefined && other === undefined) return { kind: 'one', group: only }
    const sorted = [...parts].sort(([a], [b]) => a - b)
    return { kind: 'several', parts: sorted.map(([group, at]) => ({ group, statements: at })) }
  }

  #groupOf(shape: StatementShape, statement: Statement, shardKey: SqlValue | undefined): GroupId {
    switch (shape.kind) {
      case 'unsharded':
        return DEFAULT_GROUP
      case 'anywhere':
        return groupsOf(shape.table)[0] ?? DEFAULT_GROUP
      case 'keyed':
        return groupOfKeys(shape, statement, shardKey)
      case 'scattered':
      case 'unkeyed':
        if (shardKey !== undefined) return groupOfValue(shape.table, shardKey)
        throw keyRequired(shape.table, shape.kind === 'unkeyed' ? shape.why : scatterAlone)
      case 'refused':
      case 'definition':
        throw new SqlRefusedError(shape.kind === 'refused' ? shape.why : scatterAlone)
    }
  }

  #shapeOf(sql: string, map: ShardMap): StatementShape {
    const known = this.#shapes.get(sql)
    if (known !== undefined) {
      this.#shapes.delete(sql)
      this.#shapes.set(sql, known)
      return known
    }
    const shape = shapeOf(sql, map)
    if (sql.length <= shapedTextLengthMax) this.#remember(sql, shape)
    return shape
  }

  #remember(sql: string, shape: StatementShape): void {
    this.#shapes.set(sql, shape)
    if (this.#shapes.size <= statementShapesMax) return
    for (const oldest of this.#shapes.keys()) {
      this.#shapes.delete(oldest)
      return
    }
  }

  #forget(version: number): void {
    this.#version = version
    this.#shapes.clear()
  }
}

const scatterAlone = 'a read of several groups is sent alone'

function groupOfKeys(
  shape: Extract<StatementShape, { kind: 'keyed' }>,
  { params }: Statement,
  shardKey: SqlValue | undefined
): GroupId {
  const { table, keys } = shape
  let group: GroupId | null = shardKey === undefined ? null : groupOfValue(table, shardKey)
  for (const key of keys) {
    const value = resolved(key, params)
    if (value === undefined) throw keyRequired(table, 'its parameter is not given')
    const own = groupOfValue(table, value)
    if (group === null) group = own
    else if (group !== own && shardKey !== undefined) {
      throw new InvalidArgumentError('shardKey', 'is another than the statement’s own')
    } else if (group !== own) {
      throw keyRequired(table, 'its rows belong to several groups; send a statement for each row')
    }
  }
  return group ?? DEFAULT_GROUP
}

function groupOfValue(table: ShardedTable, value: SqlValue): GroupId {
  const hash = shardHashOf(value)
  if (hash === null) throw keyRequired(table, 'NULL is no shard key')
  return groupOf(table, hash)
}

const keyRequired = ({ table, shardKey }: ShardedTable, why: string): ShardKeyRequiredError =>
  new ShardKeyRequiredError(
    `${table} is sharded by ${shardKey}: ${why}; say which rows it is about with shardKey`
  )
