/** Drains, switchovers and rolling restarts on one node. */
import type { ConsensusDriver } from '../src/consensus/index.js'
import type { Control } from '../src/control/index.js'
import {
  type Clock,
  CONTROL_GROUP,
  type Config,
  type Crypto,
  type GroupId,
  type Lifecycle,
  type Logger,
  type Member,
  type Messenger,
  type NodeId,
  nodeOf,
  type VerdictStatus
} from '../src/core/index.js'
import {
  ClusterLook,
  type DrainedGroup,
  FailoverDriver,
  type FailoverPolicy,
  FailoversDriver,
  failoverDefaults,
  NodeDrainDriver,
  OperationsDriver,
  RestartDriver,
  type RestartHook,
  restartDriverDefaults,
  type SessionMover
} from '../src/failover/index.js'

export interface PlannedRooms {
  readonly node: NodeDrainDriver
  readonly operations: OperationsDriver
  /** Null: there is no control group that could hold a plan. */
  readonly restarts: RestartDriver | null
  readonly failover: FailoverDriver | null
  readonly failovers: FailoversDriver | null
}

export interface PlannedParts {
  readonly nodeId: NodeId
  readonly clock: Clock
  readonly crypto: Crypto
  readonly messenger: Messenger
  readonly logger: Logger
  readonly consensus: ConsensusDriver
  readonly control: Control | null
  readonly hook: RestartHook | null
  readonly sessions: SessionMover
  readonly failover: Config['failover']
  /** A leadership was moved unasked. */
  onMoved(action: string): void
  members(): readonly Member[]
  verdictOn(node: NodeId): VerdictStatus
  lifecycle(): Lifecycle
  setLifecycle(lifecycle: 'draining' | 'up'): void
  isReady(): boolean
  inFlight(): number
  /** Queries since the process began. */
  counts(): {
    readonly queries: number
    readonly failures: number
    readonly latencies: readonly number[]
  }
}

export function composePlanned(parts: PlannedParts): PlannedRooms {
  const { nodeId: self, clock, crypto, messenger, logger, consensus, control } = parts
  const members = () => parts.members()
  let failover: FailoverDriver | null = null
  const node = new NodeDrainDriver(
    {
      clock,
      messenger,
      logger,
      members,
      groups: () => consensus.groups().map(drainedGroup),
      lifecycle: () => parts.lifecycle(),
      setLifecycle: (lifecycle) => parts.setLifecycle(lifecycle),
      isReady: () => parts.isReady(),
      inFlight: () => parts.inFlight(),
      counts: () => parts.counts(),
      keepLeader: (group, forMs) => consensus.keepLeader(group, forMs),
      sessions: parts.sessions,
      elections: () => failover?.noticed() ?? [],
      ...(parts.hook === null ? {} : { hook: parts.hook })
    },
    { self, boot: hex(crypto.randomBytes(8)) }
  )
  const sight = new ClusterLook(
    {
      clock,
      messenger,
      logger,
      members,
      verdictOn: (other) => parts.verdictOn(other),
      ownStatus: () => node.status()
    },
    { self, timeoutMs: parts.failover.lookTimeoutMs }
  )
  const look: ClusterLook['look'] = (options) => sight.look(options)
  const operations = new OperationsDriver({ clock, messenger, logger, node, look }, self)
  const none = { restarts: null, failover: null, failovers: null }
  if (control === null) return { node, operations, ...none }
  const restarts = new RestartDriver(
    {
      clock,
      messenger,
      logger,
      control,
      node,
      members,
      look,
      newPlanId: () => hex(crypto.randomBytes(8))
    },
    { self, controlGroup: CONTROL_GROUP, ...restartDriverDefaults }
  )
  failover = new FailoverDriver(
    {
      clock,
      messenger,
      logger,
      control,
      node,
      look,
      onMoved: ({ group, from, target, why }) =>
        parts.onMoved(`MOVE group ${group} from ${from} to ${target}: ${why}`)
    },
    { self, policy: policyOf(parts.failover), lookIntervalMs: parts.failover.lookIntervalMs }
  )
  const groupOf = (group: GroupId) => consensus.group(group)
  const failovers = new FailoversDriver({ clock, control, groupOf }, { self })
  return { node, operations, restarts, failover, failovers }
}

/** What hosts lead is balanced where it is decided who leads: in the room of consensus. */
const policyOf = ({ degradedForMs, gapMs, priorities }: Config['failover']): FailoverPolicy => ({
  ...failoverDefaults,
  degradedForMs,
  gapMs,
  spreadGapMs: 0,
  priorities: new Map(Object.entries(priorities) as [NodeId, number][])
})

type Replica = ReturnType<ConsensusDriver['groups']>[number]

function drainedGroup(replica: Replica): DrainedGroup {
  return {
    group: replica.group,
    get isHandedOver() {
      return replica.isHandedOver
    },
    status() {
      const { role, term, leader, voters, commitIndex, appliedIndex, failed, progress } =
        replica.status()
      return {
        role,
        term,
        leader,
        voters,
        votersOutgoing: replica.raft.core.configuration.votersOutgoing.map(nodeOf),
        commitIndex,
        appliedIndex,
        failed: failed !== null,
        active: progress.filter(({ active }) => active).map(({ nodeId }) => nodeId)
      }
    },
    setCandidacy: (allowed) => replica.setCandidacy(allowed),
    transferLeadership: (target, deadline) => replica.transferLeadership(target, deadline)
  }
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
