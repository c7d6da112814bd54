import {
  InvalidArgumentError,
  ResultTooLargeError,
  SkeinError,
  SqlError,
  SqlRefusedError
} from '../../core/errors.js'
import { CONTROL_GROUP, type GroupId, type LogIndex, type NodeId } from '../../core/ids.js'
import { resultSizeBytesMax } from '../../core/limits.js'
import { type StatementKind, StatementKinds } from '../../core/ports/engine-provider.js'
import type { RequestBranch } from '../../core/request-branch.js'
import type { SqlValue, Statement } from '../../core/sql.js'
import type { Answered } from '../attempts-driver.js'
import { type QueryPlan, resultsSizeOf } from '../query-plan.js'
import { merged } from './merge.js'
import { type ShardedTable, ShardMap, unsharded } from './shard-map.js'
import { type ShardPlan, ShardPlanner } from './shard-planner.js'

/** Carries a query to each group that it concerns, and puts the answers together. */
export class ShardRunnerDriver {
  readonly #knownGroups: () => readonly GroupId[]
  readonly #nodeId: NodeId
  readonly #planner = new ShardPlanner()
  #map: ShardMap = unsharded

  constructor(
    components: { readonly knownGroups: () => readonly GroupId[] },
    options: { readonly nodeId: NodeId }
  ) {
    this.#knownGroups = components.knownGroups
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
    return this.#planner.plan(this.#map, statements, shardKey)
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
    atLeastIndex: LogIndex,
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
        return this.#define(plan, shards.groups ?? this.#dataGroups(), runOne)
      case 'several':
        if (atLeastIndex > 0) {
          throw new InvalidArgumentError('atLeastIndex', 'is of one group, the list of several')
        }
        return runOne(plan)
    }
  }

  #dataGroups(): readonly GroupId[] {
    return this.#knownGroups().filter((group) => group !== CONTROL_GROUP)
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
    return { results, index: 0 as LogIndex, node: this.#nodeId }
  }

  /** One group after the other: what fails in the first has changed nothing anywhere. */
  async #define(
    plan: QueryPlan,
    groups: readonly GroupId[],
    runOne: (plan: QueryPlan) => Promise<Answered>
  ): Promise<Answered> {
    const doneIn: GroupId[] = []
    let last: Answered | null = null
    for (const group of groups) {
      try {
        last = await runOne({ ...plan, group })
      } catch (cause) {
        throw doneIn.length === 0 ? cause : partly(doneIn, group, cause)
      }
      doneIn.push(group)
    }
    if (last === null) throw new SqlError('no group is known that it could be done in')
    return { ...last, index: 0 as LogIndex, node: this.#nodeId }
  }
}

function partly(doneIn: readonly GroupId[], group: GroupId, cause: unknown): unknown {
  if (!(cause instanceof SkeinError)) return cause
  const done = `done in groups ${doneIn.join(', ')}, not in ${group} and after it`
  return new SqlError(`${done}: ${cause.message}; repeat it with IF [NOT] EXISTS`, {
    cause,
    details: { doneIn: doneIn.map(String), failedIn: group, code: cause.code }
  })
}
