/**
 * A cluster as a rolling restart meets it, on virtual time: real drain and restart drivers over a
 * model of everything else. Processes come and go, groups have leaders and lag, the control group
 * commits where a majority is, and a leader that is cut off goes on believing in itself.
 *
 * What must never happen is looked for at the moment at which a process is replaced.
 */
import { after } from '../../../src/core/deadlines.js'
import { CONTROL_GROUP, type GroupId, type NodeId } from '../../../src/core/ids.js'
import { LatencyCounts } from '../../../src/core/latency-counts.js'
import { type Lifecycle, Lifecycles, Livenesses, type Member } from '../../../src/core/member.js'
import { silentLogger } from '../../../src/core/ports/logger.js'
import type { SplittableRandom } from '../../../src/core/splittable-random.js'
import type { LeaderChange } from '../../../src/failover/coordinator/failover-coordinator.js'
import { FailoverDriver } from '../../../src/failover/coordinator/failover-driver.js'
import {
  type FailoverPolicy,
  failoverDefaults
} from '../../../src/failover/coordinator/failover-policy.js'
import { NodeDrainDriver } from '../../../src/failover/drain/node-drain-driver.js'
import { OperationsDriver } from '../../../src/failover/drain/operations-driver.js'
import { ClusterLook } from '../../../src/failover/rolling-restart/cluster-look-driver.js'
import type { RestartPlans } from '../../../src/failover/rolling-restart/plan.js'
import type { PlanChange } from '../../../src/failover/rolling-restart/plan-changes.js'
import { RestartDriver } from '../../../src/failover/rolling-restart/restart-driver.js'
import { MemoryNetwork } from '../memory-messenger.js'
import { ProcessClock } from '../process-clock.js'
import { VirtualClock } from '../virtual-clock.js'
import { ModelControl } from './model-control.js'
import { ModelGroup } from './model-group.js'

export interface WorldOptions {
  readonly nodes: number
  /** Nodes of one rack. */
  readonly rackSize?: number
  /** Data groups, of three voters each. */
  readonly groups?: number
  readonly random: SplittableRandom
  /** Whether processes can be replaced by their own hook. Default true. */
  readonly hooks?: boolean
  /** Given: leaderships are moved without being asked to. */
  readonly failover?: Partial<FailoverPolicy>
  /** Some messages arrive when nobody expects them any more. Default false. */
  readonly lateMessages?: boolean
}

/** One message of so many is late, by up to so much. */
const lateness = { oneOf: 60, ms: 15_000 } as const

class LateNetwork extends MemoryNetwork {
  readonly #random: SplittableRandom | null

  constructor(clock: VirtualClock, { random, lateMessages }: WorldOptions) {
    super(clock, 2)
    this.#random = lateMessages === true ? random.split('network') : null
  }

  override delayBetween(): number {
    const random = this.#random
    if (random === null || random.nextInt(lateness.oneOf) > 0) return this.delayMs
    return random.nextInt(lateness.ms)
  }
}

/** A process of a node. */
interface Process {
  readonly boot: string
  readonly clock: ProcessClock
  readonly drain: NodeDrainDriver
  readonly restarts: RestartDriver
  readonly failover: FailoverDriver
  readonly operations: OperationsDriver
  lifecycle: Lifecycle
  readyAt: number
}

interface Host {
  readonly id: NodeId
  readonly rack: string
  process: Process | null
  boots: number
  /** Virtual time of its latest death and of its latest start. */
  downAt: number
  upAt: number
  /** Lifecycle as others know it, with the time from which they do. */
  heard: { lifecycle: Lifecycle; at: number }[]
  hookCalls: number
  /** From the hook's call until the new process is back. */
  isReplaced: boolean
}

/** How long things take, in ms. */
export const times = {
  gossip: 150,
  suspicion: 1_500,
  restart: 2_000,
  ready: 2_500,
  /** The shorter and the longer one take turns: before it is ready, and after. */
  catchUp: [1_500, 5_000],
  supervisor: 6_000
} as const

const lagEntriesMax = 1_024
/** What is older than this every look has seen. */
const knownAfterMs = 1_500

export class RestartWorld {
  readonly clock = new VirtualClock()
  readonly network: LateNetwork
  readonly control: ModelControl
  readonly groups: readonly ModelGroup[]
  readonly hosts = new Map<NodeId, Host>()
  readonly violations: string[] = []
  /** By the failover coordinator. */
  readonly moved: string[] = []
  readonly log: string[] = []
  /** Of the queries that each node gets, a hundred in a second. */
  errorRate = 0
  readonly #latencies = new LatencyCounts()
  readonly kept: { readonly node: NodeId; readonly group: GroupId; readonly forMs: number }[] = []
  /** Of each query, from now on. */
  latencyMs = 40
  #failures = 0
  #countedAt = 0
  inFlight = 0
  readonly #options: WorldOptions
  /** Since when. */
  readonly #degraded = new Map<NodeId, number>()
  #faults = 0
  #epoch = 0
  #revision = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.network = new LateNetwork(this.clock, options)
    const ids = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}` as NodeId)
    const isUp = (node: NodeId) => this.isUp(node)
    this.control = new ModelControl({ clock: this.clock, voters: ids, isUp })
    const dataGroups = Array.from({ length: options.groups ?? 3 }, (_, i) => {
      const voters = [0, 1, 2].map((k) => ids[(i + k) % ids.length] as NodeId)
      return new ModelGroup({
        clock: this.clock,
        group: i as GroupId,
        voters: [...new Set(voters)],
        isUp
      })
    })
    this.groups = [this.control.group, ...dataGroups]
    this.control.onCommitted((change, state) => {
      this.#checkOrder(change, state)
      this.#checkFence(change)
    })
    const { rackSize = 1 } = options
    for (const [i, id] of ids.entries()) {
      const rack = `rack-${Math.floor(i / rackSize)}`
      this.hosts.set(id, {
        id,
        rack,
        process: null,
        boots: 0,
        downAt: Number.NEGATIVE_INFINITY,
        upAt: 0,
        heard: [],
        hookCalls: 0,
        isReplaced: false
      })
      this.start(id)
    }
    for (const one of this.groups) {
      const { group } = one
      one.onLeader((leader, term) => this.#tellFailover({ group, leader, term }))
    }
    for (const group of this.groups) group.elect()
  }

  host(node: NodeId): Host {
    const host = this.hosts.get(node)
    if (host === undefined) throw new Error(`no host ${node}`)
    return host
  }

  restarts(node: NodeId): RestartDriver {
    const { process } = this.host(node)
    if (process === null) throw new Error(`${node} is down`)
    return process.restarts
  }

  operations(node: NodeId): OperationsDriver {
    const { process } = this.host(node)
    if (process === null) throw new Error(`${node} is down`)
    return process.operations
  }

  isUp(node: NodeId): boolean {
    return this.hosts.get(node)?.process != null
  }

  /** It answers badly, for a while. */
  degrade(node: NodeId, forMs: number): void {
    this.log.push(`${this.clock.now()} degrade ${node}`)
    this.#faults++
    this.#degraded.set(node, this.clock.now())
    this.clock.schedule(after(this.clock.now(), forMs), () => this.#degraded.delete(node))
  }

  start(node: NodeId): void {
    const host = this.host(node)
    if (host.process !== null) return
    host.boots++
    host.upAt = this.clock.now()
    const boot = `${node.slice(1).padStart(8, '0')}${String(host.boots).padStart(8, '0')}`
    const clock = new ProcessClock(this.clock)
    const messenger = this.network.join(node)
    const common = { clock, messenger, logger: silentLogger, members: () => this.#members(node) }
    const drain = new NodeDrainDriver(
      {
        ...common,
        groups: () => this.#groupsOf(node, boot),
        lifecycle: () => host.process?.lifecycle ?? Lifecycles.Up,
        setLifecycle: (lifecycle) => this.#setLifecycle(host, lifecycle),
        isReady: () => this.clock.now() >= (host.process?.readyAt ?? 0),
        inFlight: () => this.inFlight,
        counts: () => this.#counts(),
        keepLeader: (group, forMs) => this.kept.push({ node, group, forMs }),
        elections: () => (host.process?.boot === boot ? host.process.failover.noticed() : []),
        hook:
          this.#options.hooks === false ? undefined : { restart: async () => this.#replace(node) }
      },
      { self: node, boot }
    )
    const control = this.control.join(node, clock)
    const look = new ClusterLook(
      {
        ...common,
        verdictOn: (other) => (this.#degraded.has(other) ? 'degraded' : 'healthy'),
        ownStatus: () => drain.status()
      },
      { self: node, timeoutMs: 2_000 }
    )
    const operations = new OperationsDriver(
      { ...common, node: drain, look: (o) => look.look(o) },
      node
    )
    const restarts = new RestartDriver(
      {
        ...common,
        control,
        node: drain,
        look: (options) => look.look(options),
        newPlanId: () => `plan-${this.#options.random.nextUint32().toString(16)}`
      },
      {
        self: node,
        controlGroup: CONTROL_GROUP,
        pollIntervalMs: 250,
        changeTimeoutMs: 1_000
      }
    )
    const failover = new FailoverDriver(
      {
        ...common,
        control,
        node: drain,
        look: (o) => look.look(o),
        onMoved: ({ group, from, target, reason }) => {
          this.moved.push(`${group}: ${from}→${target} (${reason})`)
        }
      },
      {
        self: node,
        policy: { ...failoverDefaults, ...this.#options.failover },
        lookIntervalMs: 1_000
      }
    )
    if (this.#options.failover === undefined) failover.stop()
    const isFirst = host.boots === 1
    host.process = {
      boot,
      clock,
      drain,
      restarts,
      failover,
      operations,
      lifecycle: Lifecycles.Up,
      readyAt: this.clock.now() + (isFirst ? 0 : times.ready)
    }
    this.#setLifecycle(host, Lifecycles.Up)
    if (isFirst) return
    const catchUpMs = times.catchUp[(host.boots + Number(node.slice(1))) % 2] as number
    const back = after(this.clock.now(), Math.min(times.ready, catchUpMs) / 2)
    this.clock.schedule(back, () => {
      host.isReplaced = false
    })
    for (const group of this.groups) group.handleStarted(node, catchUpMs)
    this.control.handleStarted()
  }

  #tellFailover(change: LeaderChange): void {
    for (const { process } of this.hosts.values()) process?.failover.handleLeaderChanged(change)
  }

  /** kill -9; whoever supervises the process starts it again later. */
  kill(node: NodeId, downMs: number = times.supervisor): void {
    const host = this.host(node)
    if (host.process === null) return
    this.log.push(`${this.clock.now()} kill ${node}`)
    this.#faults++
    this.#end(host)
    this.clock.schedule(after(this.clock.now(), downMs), () => this.start(node))
  }

  /** Nobody hears it and it hears nobody, for a while; it goes on believing what it believed. */
  isolate(node: NodeId, forMs: number): void {
    this.log.push(`${this.clock.now()} isolate ${node}`)
    this.#faults++
    this.network.isolate(node)
    for (const group of this.groups) group.setCut(node, true)
    this.control.setCut(node, true)
    this.clock.schedule(after(this.clock.now(), forMs), () => {
      this.network.heal()
      for (const group of this.groups) group.setCut(node, false)
      this.control.setCut(node, false)
    })
  }

  stop(): void {
    for (const host of this.hosts.values()) if (host.process !== null) this.#end(host)
  }

  #end(host: Host): void {
    const { process } = host
    if (process === null) return
    process.restarts.stop()
    process.failover.stop()
    process.operations.stop()
    process.drain.stop()
    process.clock.isDead = true
    host.process = null
    host.downAt = this.clock.now()
    this.network.leave(host.id)
    this.control.leave(host.id)
    for (const group of this.groups) group.handleStopped(host.id)
  }

  #counts() {
    const now = Math.floor(this.clock.now())
    const queries = Math.floor(now / 10)
    this.#failures += (queries - this.#countedAt) * this.errorRate
    for (let i = this.#countedAt; i < queries; i++) this.#latencies.record(this.latencyMs)
    this.#countedAt = queries
    const latencies = this.#latencies.snapshot()
    return { queries, failures: Math.round(this.#failures), latencies }
  }

  #setLifecycle(host: Host, lifecycle: 'draining' | 'up'): void {
    if (host.process !== null) host.process.lifecycle = lifecycle
    host.heard = [...host.heard.slice(-3), { lifecycle, at: this.clock.now() + times.gossip }]
  }

  #members(viewer: NodeId): readonly Member[] {
    return [...this.hosts.values()].map((host) => this.#member(host, viewer))
  }

  #member(host: Host, viewer: NodeId): Member {
    const now = this.clock.now()
    const isDead = host.process === null && now - host.downAt > times.suspicion
    const own = host.id === viewer ? host.process?.lifecycle : undefined
    const heard = host.heard.filter(({ at }) => at <= now).at(-1)?.lifecycle ?? Lifecycles.Up
    return {
      nodeId: host.id,
      address: 'localhost:1',
      incarnation: host.boots as Member['incarnation'],
      liveness: isDead ? Livenesses.Dead : Livenesses.Alive,
      lifecycle: own ?? heard,
      health: 'healthy',
      datacenter: 'here',
      rack: host.rack,
      metadata: {},
      capacity: { cpus: 0, memoryBytes: 0, connections: 0, weight: 100 },
      tags: [],
      lastSeen: this.clock.now()
    }
  }

  #groupsOf(node: NodeId, boot: string) {
    return this.groups
      .filter(({ voters }) => voters.includes(node))
      .map((group) => ({
        group: group.group,
        get isHandedOver() {
          return group.isHandedOver && group.believedBy(node).leader === node
        },
        status: () => group.statusAt(node),
        setCandidacy: (allowed: boolean) => {
          if (this.host(node).process?.boot === boot) group.setCandidacy(node, allowed)
        },
        transferLeadership: (target: NodeId | null) => group.transfer(node, target)
      }))
  }

  /** Who was overtaken moves nothing, and who leads anew says so first. */
  #checkFence(change: PlanChange): void {
    if (change.kind === 'claim') this.#epoch = Math.max(this.#epoch, change.epoch)
    if (change.kind !== 'advance' && change.kind !== 'halt') return
    const { term, ledSince } = this.control.group
    const isOver = change.epoch < term && this.clock.now() - ledSince > 2 * knownAfterMs
    if (change.epoch < this.#epoch || isOver) {
      this.violations.push(`the plan is moved in epoch ${change.epoch}, which is over`)
    }
    if (change.revision < this.#revision) {
      this.violations.push(`revision ${this.#revision} is moved by who saw ${change.revision}`)
    }
    this.#revision = Math.max(this.#revision, change.revision + 1)
  }

  /** Whoever goes leads least in its rack, while nothing has disturbed the cluster. */
  #checkOrder(change: PlanChange, { plans }: RestartPlans): void {
    if (this.#faults > 0 || change.kind !== 'advance' || change.to !== 'routing') return
    const plan = plans.find(({ id }) => id === change.plan)
    const leads = (node: NodeId) => this.groups.filter(({ leader }) => leader === node).length
    for (const { node, phase } of plan?.steps ?? []) {
      const isRival = phase === 'pending' && node !== this.control.group.leader
      const isNear = this.host(node).rack === this.host(change.node).rack
      if (isRival && isNear && leads(node) < leads(change.node)) {
        this.violations.push(`${change.node} goes before ${node}, which leads less`)
      }
    }
  }

  /** The hook of a process: what must never happen shows here. */
  #replace(node: NodeId): void {
    const host = this.host(node)
    const now = this.clock.now()
    host.hookCalls++
    this.log.push(`${now} replace ${node}`)
    host.isReplaced = true
    if (host.hookCalls > 1) this.violations.push(`${node} is replaced twice`)
    for (const group of this.groups) {
      if (group.leader === node) this.violations.push(`${node} leads group ${group.group}`)
      this.#checkQuorum(group, node)
    }
    for (const other of this.hosts.values()) if (other !== host) this.#checkBack(other, node)
    this.clock.schedule(after(this.clock.now(), 5), () => {
      this.#end(host)
      this.clock.schedule(after(this.clock.now(), times.restart), () => this.start(node))
    })
  }

  /** What nobody could know yet is nobody's fault. */
  #checkQuorum(group: ModelGroup, node: NodeId): void {
    const isThere = (voter: NodeId) => {
      if (voter === node) return false
      return this.isUp(voter) || this.clock.now() - this.host(voter).downAt < times.suspicion
    }
    if (
      group.voters.includes(node) &&
      group.voters.filter(isThere).length * 2 <= group.voters.length
    ) {
      this.violations.push(`group ${group.group} loses its majority with ${node}`)
    }
  }

  #checkBack(other: Host, node: NodeId): void {
    const now = this.clock.now()
    const isKnownDown = other.process === null && now - other.downAt >= times.suspicion
    if (isKnownDown) this.violations.push(`${node} is replaced while ${other.id} is down`)
    if (other.isReplaced) this.violations.push(`${node} is replaced while ${other.id} is out`)
    const degradedAt = this.#degraded.get(other.id) ?? now
    if (now - degradedAt > knownAfterMs) {
      this.violations.push(`${node} is replaced while ${other.id} is degraded`)
    }
    if (other.process === null) return
    if (other.process.readyAt > now) {
      this.violations.push(`${node} is replaced while ${other.id} is not ready`)
    }
    for (const group of this.groups) {
      if (group.lagOf(other.id) > lagEntriesMax + group.growthIn(1_000)) {
        this.violations.push(`${node} is replaced while ${other.id} is behind`)
      }
    }
  }
}
