import { InvalidArgumentError, ResultTooLargeError, SqlRefusedError } from '../../core/errors.js'
import type { GroupId, LogIndex, MonotonicMs, NodeId } from '../../core/ids.js'
import { resultSizeBytesMax, schemaTextBytesMax } from '../../core/limits.js'
import { type StatementKind, StatementKinds } from '../../core/ports/engine-provider.js'
import type { Random } from '../../core/ports/random.js'
import type { RequestBranch } from '../../core/request-branch.js'
import type { SqlValue, Statement } from '../../core/sql.js'
import { utf8Length } from '../../wire/index.js'
import type { Answered } from '../answered.js'
import { type QueryPlan, resultsSizeOf } from '../query-plan.js'
import type { QueryHome } from '../sessions/sql-session.js'
import { merged } from './merge.js'
import { type ShardedTable, ShardMap, unsharded } from './shard-map.js'
import { type ShardPlan, ShardPlanner } from './shard-planner.js'

/** Begins a change of the schema, and waits for its end. `home`: of a session's. */
export type ChangeSchema = (
  change: {
    /** 32 hex digits; the same again is the same change. */
    readonly id: string
    /** Folded; null: of all groups. */
    readonly table: string | null
    readonly sql: string
    readonly deadline: MonotonicMs
  },
  home?: QueryHome
) => Promise<void>

/** Carries a query to each group that it concerns, and puts the answers together. */
export class ShardRunnerDriver {
  readonly #changeSchema: ChangeSchema
  readonly #random: Random
  readonly #nodeId: NodeId
  readonly #planner = new ShardPlanner()
  #map: ShardMap = unsharded

  constructor(
    components: { readonly changeSchema: ChangeSchema; readonly random: Random },
    options: { readonly nodeId: NodeId }
  ) {
    this.#changeSchema = components.changeSchema
    this.#random = components.random
    this.#nodeId = options.nodeId
  }

  get map(): ShardMap {
    return this.#map
  }

  /** Whether it is news: an older map than the known one is not taken. */
  learn(version: number, tables: readonly ShardedTable[]): boolean {
    if (version <= this.#map.version) return false
    this.#map = new ShardMap(version, tables)
    return true
  }

  /** @throws ShardKeyRequiredError, SqlRefusedError, InvalidArgumentError, SqlError */
  plan({ statements }: QueryPlan, shardKey: SqlValue | undefined): ShardPlan {
    return this.planOf(statements, shardKey)
  }

  /** @throws as `plan` */
  planOf(statements: readonly Statement[], shardKey?: SqlValue): ShardPlan {
    return this.#planner.plan(this.#map, statements, shardKey)
  }

  /** @throws as the control group answers */
  get changeSchema(): ChangeSchema {
    return this.#changeSchema
  }

  /** @throws SqlRefusedError the query is of several groups */
  groupOf(plan: QueryPlan, shardKey: SqlValue | undefined): GroupId {
    const shards = this.plan(plan, shardKey)
    if (shards.kind === 'one') return shards.group
    throw new SqlRefusedError('it goes to several groups; ask for one of them with shardKey')
  }

  /**
   * As one transaction, whatever consistency its reads asked for. The first group that is written
   * coordinates; without one the first of all.
   */
  transactionOf(
    plan: QueryPlan,
    { parts }: Extract<ShardPlan, { kind: 'several' }>,
    kindOf: (sql: string) => StatementKind
  ): QueryPlan {
    const isRead = (at: number) =>
      kindOf((plan.statements[at] as Statement).sql) === StatementKinds.Read
    const branches = parts.map(({ group, statements }): RequestBranch => {
      return { group, statements, reads: statements.every(isRead) }
    })
    const first = branches.find(({ reads }) => !reads) ?? (branches[0] as RequestBranch)
    const ordered = [first, ...branches.filter((branch) => branch !== first)]
    return { ...plan, kind: StatementKinds.Write, group: first.group, branches: ordered }
  }

  async run(
    plan: QueryPlan,
    shards: ShardPlan,
    { atLeastIndex, deadline }: { readonly atLeastIndex: LogIndex; readonly deadline: MonotonicMs },
    runOne: (plan: QueryPlan) => Promise<Answered>
  ): Promise<Answered> {
    switch (shards.kind) {
      case 'one':
        return runOne(shards.group === plan.group ? plan : { ...plan, group: shards.group })
      case 'scattered':
        if (atLeastIndex > 0) {
          throw new InvalidArgumentError('atLeastIndex', 'is of one group, the read of several')
        }
        return this.#scatter(plan, shards, runOne)
      case 'definition':
        return this.#define(plan, shards.table, deadline)
      case 'several':
        if (atLeastIndex > 0) {
          throw new InvalidArgumentError('atLeastIndex', 'is of one group, the list of several')
        }
        return runOne(plan)
    }
  }

  async #scatter(
    plan: QueryPlan,
    { groups, merge }: Extract<ShardPlan, { kind: 'scattered' }>,
    runOne: (plan: QueryPlan) => Promise<Answered>
  ): Promise<Answered> {
    const answers = await Promise.all(groups.map((group) => runOne({ ...plan, group })))
    const parts = answers.flatMap(({ results }) => results)
    const results = [merged(merge, parts)]
    const sizeBytes = resultsSizeOf(results)
    if (sizeBytes > resultSizeBytesMax) {
      const found = `${groups.length} groups answer about ${sizeBytes} bytes`
      throw new ResultTooLargeError(`${found}, at most ${resultSizeBytesMax} together`)
    }
    const ages = answers.map(({ stalenessMs }) => stalenessMs ?? Number.POSITIVE_INFINITY)
    const stalenessMs = Math.max(...ages)
    const answered = { results, index: 0 as LogIndex, node: this.#nodeId }
    return Number.isFinite(stalenessMs) ? { ...answered, stalenessMs } : answered
  }

  /** Carried out by whoever leads the control group, in one group after the other. */
  async #define(
    { statements, home }: QueryPlan,
    table: string | null,
    deadline: MonotonicMs
  ): Promise<Answered> {
    const [statement] = statements as readonly [Statement]
    const { sql, params } = statement
    if (params !== undefined && Object.keys(params).length > 0) {
      throw new SqlRefusedError('a change of the schema of sharded tables takes no parameters')
    }
    if (utf8Length(sql) > schemaTextBytesMax) {
      const what = 'of a change of the schema of sharded tables'
      throw new InvalidArgumentError('sql', `${what}: at most ${schemaTextBytesMax} bytes`)
    }
    await this.#changeSchema({ id: this.#newId(), table, sql, deadline }, home)
    const results = [{ columns: [], rows: [], rowsAffected: 0, lastInsertRowid: null }]
    return { results, index: 0 as LogIndex, node: this.#nodeId }
  }

  #newId(): string {
    const word = () => this.#random.nextUint32().toString(16).padStart(8, '0')
    return `${word()}${word()}${word()}${word()}`
  }
}
