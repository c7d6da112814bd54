import { InvalidArgumentError, NotLeaderError, ResultTooLargeError } from '../core/errors.js'
import { RaftRoles } from '../core/events.js'
import type { ClientId, GroupId, LogIndex, MonotonicMs } from '../core/ids.js'
import { resultSizeBytesMax } from '../core/limits.js'
import { StatementKinds } from '../core/ports/engine-provider.js'
import { Priorities } from '../core/ports/messenger.js'
import type { ClientTag, Leadership, ReplicatedGroup } from '../core/ports/replicated-group.js'
import { Consistencies } from '../core/queries.js'
import type { RequestBranch } from '../core/request-branch.js'
import type { Statement, StatementResult } from '../core/sql.js'
import type { SeenIndex } from '../core/sql-sessions.js'
import { isForLeader } from './eligibility.js'
import { assertSameTerm } from './fence.js'
import type { QueryBody } from './messages.js'
import type { ExecutionGate } from './overload/execution-gate-driver.js'
import type { Placement, PlacementTable } from './placement-table.js'
import { resultsSizeOf } from './query-plan.js'

export interface Executed {
  readonly results: readonly StatementResult[]
  readonly index: LogIndex
  /** Of a local read: no older is what it saw. */
  readonly stalenessMs?: number | undefined
  /** Of other groups that a transaction wrote to. */
  readonly seen?: readonly SeenIndex[] | undefined
}

/** Carries out a transaction over several groups, where this node leads the first of them. */
export type Transact = (request: {
  readonly statements: readonly Statement[]
  readonly branches: readonly RequestBranch[]
  readonly client: ClientTag | null
  readonly deadline: MonotonicMs
}) => Promise<Executed>

/** Executes on this node's own replica, and nowhere else. */
export class ExecutionDriver {
  readonly #groupOf: (group: GroupId) => ReplicatedGroup | undefined
  readonly #localGroups: () => readonly GroupId[]
  readonly #learned: PlacementTable
  readonly #gate: ExecutionGate
  /** Of local groups, made again when their leadership changed. */
  readonly #placed = new Map<GroupId, { readonly by: Leadership; readonly placement: Placement }>()
  readonly #onExecution: (key: string | null, isForLeader: boolean) => void
  readonly #transact: Transact | undefined

  constructor(components: {
    readonly groupOf: (group: GroupId) => ReplicatedGroup | undefined
    /** Those that have a replica here. */
    readonly localGroups: () => readonly GroupId[]
    readonly learned: PlacementTable
    readonly gate: ExecutionGate
    /** A query begins to be executed here. */
    readonly onExecution: (key: string | null, isForLeader: boolean) => void
    /** Absent: this node has no replica. */
    readonly transact?: Transact | undefined
  }) {
    this.#groupOf = components.groupOf
    this.#localGroups = components.localGroups
    this.#learned = components.learned
    this.#gate = components.gate
    this.#onExecution = components.onExecution
    this.#transact = components.transact
  }

  hasReplica(group: GroupId): boolean {
    return this.#groupOf(group) !== undefined
  }

  /** What this node's own replicas say of their groups. */
  placements(): Placement[] {
    return this.#localGroups().flatMap((group) => {
      const local = this.placementOf(group)
      return local === null ? [] : [local]
    })
  }

  placementOf(group: GroupId): Placement | null {
    const replica = this.#groupOf(group)
    if (replica === undefined) return null
    const leadership = replica.leadership()
    const known = this.#placed.get(group)
    if (known?.by === leadership) return known.placement
    const { term, leader, voters } = leadership
    const placement = { group, term, leader, voters }
    this.#placed.set(group, { by: leadership, placement })
    return placement
  }

  /**
   * @throws NotLeaderError, StaleRouteError it must run elsewhere
   * @throws ResultTooLargeError; a write that was executed all the same: `details.executed`
   */
  async execute(body: QueryBody, deadline: MonotonicMs, signal?: AbortSignal): Promise<Executed> {
    const replica = this.#replicaOf(body.group)
    const priority = body.priority ?? Priorities.Normal
    return this.#gate.through({ priority, deadline, signal }, () =>
      this.#execute(replica, body, deadline, signal)
    )
  }

  async registerClient(group: GroupId, clientId: ClientId, deadline: MonotonicMs): Promise<void> {
    await this.#replicaOf(group).registerClient(clientId, deadline)
  }

  async #execute(
    replica: ReplicatedGroup,
    body: QueryBody,
    deadline: MonotonicMs,
    signal?: AbortSignal
  ): Promise<Executed> {
    // After it waited for its turn: a term may have ended meanwhile.
    assertSameTerm(body, () => replica.leadership())
    this.#onExecution(body.key ?? null, isForLeader(body.kind, body.consistency))
    const executed: Executed =
      body.kind === StatementKinds.Write
        ? await this.#write(replica, body, deadline)
        : await this.#read(replica, body, deadline, signal)
    const sizeBytes = resultsSizeOf(executed.results)
    if (sizeBytes > resultSizeBytesMax) {
      const message = `a result of about ${sizeBytes} bytes, at most ${resultSizeBytesMax}`
      if (body.kind === StatementKinds.Read) throw new ResultTooLargeError(message)
      const details = { executed: true }
      throw new ResultTooLargeError(`${message}; the write was executed`, { details })
    }
    return executed
  }

  #write(replica: ReplicatedGroup, body: QueryBody, deadline: MonotonicMs): Promise<Executed> {
    const { group, statements, branches, client } = body
    if (branches === undefined) return replica.write({ statements, client, deadline })
    if (this.#transact === undefined || branches[0]?.group !== group) {
      throw new InvalidArgumentError('branches', 'the first is of the coordinating group')
    }
    return this.#transact({ statements, branches, client, deadline })
  }

  async #read(
    replica: ReplicatedGroup,
    body: QueryBody,
    deadline: MonotonicMs,
    signal?: AbortSignal
  ): Promise<Executed> {
    const { atLeastIndex, statements } = body
    if (body.consistency === Consistencies.Leader) {
      const { role, leader } = replica.leadership()
      if (role !== RaftRoles.Leader) throw notLeader(body.group, leader)
    }
    const awaitsDecisions = body.consistency === Consistencies.Linearizable
    const isLocal = body.consistency === Consistencies.Local
    const staleness = isLocal ? { maxMs: body.maxStalenessMs ?? null } : undefined
    const request =
      signal === undefined
        ? { statements, atLeastIndex, deadline, awaitsDecisions, staleness }
        : { statements, atLeastIndex, deadline, awaitsDecisions, staleness, signal }
    return awaitsDecisions ? replica.readLinearizable(request) : replica.read(request)
  }

  #replicaOf(group: GroupId): ReplicatedGroup {
    const replica = this.#groupOf(group)
    if (replica !== undefined) return replica
    throw notLeader(group, this.#learned.of(group)?.leader ?? null)
  }
}

const notLeader = (group: GroupId, leader: Placement['leader']): NotLeaderError =>
  new NotLeaderError(
    `this node cannot execute it for group ${group}`,
    leader === null ? {} : { leaderHint: leader }
  )
