/**
 * Sees every node after each of its events, through the facade's read-only views and the engine's
 * port, and hands what it sees to the invariants.
 */
import {
  CONTROL_GROUP,
  type Engine,
  type GroupId,
  groupName,
  type ReplicaObserver
} from '../core/index.js'
import { watchEngine } from './engine-watch.js'
import { GroupWatch } from './group-watch.js'
import { hostName } from './host-name.js'
import { MembershipInvariants } from './membership-invariants.js'
import { SessionInvariants } from './session-invariants.js'
import type { ClusterWatch, SimulatedCluster } from './simulated-cluster.js'
import { TransactionInvariants } from './transaction-invariants.js'
import { TrustInvariants, type TrustWatch } from './trust-invariants.js'
import { Invariants, type Violations } from './violations.js'
import { type ProcessExit, ProcessExits, type SimulatedProcess } from './virtual-clock.js'

export interface RunWatchComponents {
  readonly size: number
  readonly violations: Violations
  readonly log: (line: string) => void
  readonly onCrash: (host: number) => void
  readonly trust: TrustWatch
}

/** Rooms are asked for the lengths of their queues after so many events of a node. */
const queuesEveryEvents = 16

export class RunWatch implements ClusterWatch {
  readonly #violations: Violations
  readonly #groups: GroupWatch
  readonly #membership: MembershipInvariants
  readonly #trust: TrustInvariants
  readonly #transactions: TransactionInvariants
  readonly #sessions: SessionInvariants
  readonly #log: (line: string) => void
  readonly #onCrash: (host: number) => void
  #cluster: SimulatedCluster | null = null
  #events = 0
  readonly #judgeQueue = (name: string, length: number, lengthMax: number) => {
    if (length <= lengthMax) return
    this.#violations.report(Invariants.QueueBounds, `${name}: ${length}, at most ${lengthMax}`)
  }

  constructor({ size, violations, log, onCrash, trust }: RunWatchComponents) {
    this.#violations = violations
    this.#groups = new GroupWatch(size, violations)
    this.#membership = new MembershipInvariants(violations)
    this.#trust = new TrustInvariants(violations, trust)
    this.#transactions = new TransactionInvariants(violations)
    this.#sessions = new SessionInvariants(violations)
    this.#log = log
    this.#onCrash = onCrash
  }

  get elections(): number {
    return this.#groups.elections
  }

  get committedIndex(): number {
    return this.#groups.committedIndex
  }

  /** The highest index that any engine of the group has applied. */
  appliedIndex(group: GroupId): number {
    return this.#groups.of(group).consensus.appliedIndex
  }

  /** What a leader has committed; zero when it does not lead. */
  ledCommitIndex(host: number): number {
    return this.#groups.ledCommitIndex(host)
  }

  observe(cluster: SimulatedCluster): void {
    this.#cluster = cluster
  }

  isLeader(host: number): boolean {
    return this.#groups.isLeader(host)
  }

  onStarted(host: number): void {
    this.#log(`${hostName(host)} has started`)
  }

  onStartFailed(host: number, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#violations.report(Invariants.Start, `${hostName(host)}: ${text}`)
  }

  onExit(host: number, exit: ProcessExit): void {
    this.#log(
      `fault: ${hostName(host)} ${exit === ProcessExits.Power ? 'loses power' : 'is killed'}`
    )
    this.#groups.onExit(host)
    this.#onCrash(host)
    if (this.#cluster) this.#membership.onExit(this.#cluster.nodeIdOf(host))
  }

  onOpenedTwice({ name, alive }: SimulatedProcess): void {
    if (!alive) return
    this.#violations.report(Invariants.OpenedOnce, `${name} opens a datagram a second time`)
  }

  /** A process that has crashed says nothing any more, whatever it was in the middle of. */
  observerOf(process: SimulatedProcess): ReplicaObserver {
    const { host } = process
    const groups = this.#groups
    return {
      onRecovered: (group, replica, recovered) => {
        if (!process.alive) return
        const { consensus, promises } = groups.of(group)
        consensus.onRecovered(host, replica, recovered)
        promises.onRecovered(host, replica, recovered.hardState)
      },
      onPersist: (request) => {
        if (!process.alive) return
        const { consensus, promises } = groups.of(request.group)
        consensus.onPersist(host, request)
        promises.onPersist(host, request)
      },
      onPersisted: (request) => {
        if (!process.alive) return
        const { consensus, promises } = groups.of(request.group)
        consensus.onPersisted(host, request)
        promises.onPersisted(host, request)
      },
      onSend: (message) => {
        if (process.alive) groups.of(message.group).promises.onSend(host, message)
      },
      watched: (group, engine) => this.#watched(process, group, engine)
    }
  }

  #watched(process: SimulatedProcess, group: GroupId, engine: Engine): Engine {
    const { host, name } = process
    const { consensus } = this.#groups.of(group)
    const seeSessions = async (isNew: boolean) => {
      if (group === CONTROL_GROUP) await this.#sessions.onState(name, engine, isNew)
    }
    return watchEngine(engine, {
      onOpened: async (index, state) => {
        if (!process.alive) return
        consensus.onEngineOpened(host, index, state)
        await seeSessions(true)
      },
      onApplied: async (index, state, writes) => {
        if (!process.alive) return
        consensus.onApplied(host, index, state)
        this.#transactions.onWrites(group, writes)
        await seeSessions(false)
      },
      onRestored: async (index, state) => {
        if (!process.alive) return
        consensus.onRestored(host, index, state)
        await seeSessions(true)
      }
    })
  }

  /** The node whose event has just run and settled. */
  afterEvent(process: SimulatedProcess): void {
    const node = this.#cluster?.nodeAt(process.host)
    if (!node || node.process !== process || !node.isStarted) return
    const { nodeId } = node.manager
    for (const { sight } of node.manager.sights()) {
      const { consensus } = this.#groups.of(sight.group)
      const led = consensus.isLeader(process.host)
      consensus.onView(process.host, sight)
      const leads = sight.role === 'leader'
      if (leads !== led) {
        const verb = leads ? 'leads' : 'no longer leads'
        this.#log(`${nodeId} ${verb} group ${groupName(sight.group)} in term ${sight.term}`)
      }
      if (sight.failed !== null) {
        this.#violations.report(Invariants.Liveness, `${hostName(process.host)}: ${sight.failed}`)
      }
    }
    this.#membership.onMembers(nodeId, node.manager)
    this.#trust.afterEvent(process, node.manager.security)
    // Dear, and a queue that has outgrown its bound does not shrink within a few events.
    if (this.#events++ % queuesEveryEvents === 0) node.manager.tellQueues(this.#judgeQueue)
  }

  /** Who calls whom something else than alive, though all are up. */
  deadMembers(cluster: SimulatedCluster): string[] {
    const running = cluster.nodeIds()
    return cluster.startedNodes().flatMap(({ manager }) => {
      const members = manager.getClusterMembers()
      return running.flatMap((nodeId) => {
        const liveness = members.find((member) => member.nodeId === nodeId)?.liveness
        return liveness === 'alive' ? [] : [`${manager.nodeId} sees ${nodeId} ${liveness ?? 'not'}`]
      })
    })
  }
}
