/**
 * What the house knows of a member, on three independent axes, and the mappings to the single-axis
 * state names of the original documents.
 */
import type { Incarnation, MonotonicMs, NodeId } from './ids.js'
import type { Address } from './ports/stream-network.js'

/** What the failure detector says. */
export const Livenesses = { Alive: 'alive', Suspect: 'suspect', Dead: 'dead' } as const
export type Liveness = (typeof Livenesses)[keyof typeof Livenesses]

/** What the member says of its own stay in the cluster. */
export const Lifecycles = {
  Joining: 'joining',
  WeaklyUp: 'weaklyUp',
  Up: 'up',
  Draining: 'draining',
  Leaving: 'leaving',
  Left: 'left'
} as const
export type Lifecycle = (typeof Lifecycles)[keyof typeof Lifecycles]

/** How well it serves. */
export const HealthStatuses = {
  Healthy: 'healthy',
  Degraded: 'degraded',
  ShuttingDown: 'shuttingDown'
} as const
export type HealthStatus = (typeof HealthStatuses)[keyof typeof HealthStatuses]

/** `NodeCapacity` of seed 001; zero where the node does not say. */
export interface NodeCapacity {
  /** Cores that it may use; fractions are allowed. */
  readonly cpus: number
  readonly memoryBytes: number
  /** Clients and peers that it takes at once. */
  readonly connections: number
  /** Its share of the work beside that of others; 100 is usual. */
  readonly weight: number
}

export const unstatedCapacity: NodeCapacity = {
  cpus: 0,
  memoryBytes: 0,
  connections: 0,
  weight: 100
}

/** Told of each member of a table. */
export type TellIncarnation = (nodeId: NodeId, incarnation: Incarnation) => void

export interface Member {
  readonly nodeId: NodeId
  readonly address: Address
  readonly incarnation: Incarnation
  readonly liveness: Liveness
  readonly lifecycle: Lifecycle
  readonly health: HealthStatus
  readonly datacenter: string
  readonly rack: string
  readonly metadata: Readonly<Record<string, string>>
  /** What it can bear, as it says itself. */
  readonly capacity: NodeCapacity
  /** What it is for, sorted: `analytics`, `gateway`. */
  readonly tags: readonly string[]
  /** When this node last heard of it first-hand; local, never on the wire. */
  readonly lastSeen: MonotonicMs
}

/** `NodeState` of seed 001. */
export type SeedNodeState = 'Alive' | 'Suspect' | 'Dead' | 'Left' | 'Joining'

export function toSeedNodeState(member: Pick<Member, 'liveness' | 'lifecycle'>): SeedNodeState {
  if (member.lifecycle === Lifecycles.Left) return 'Left'
  if (member.liveness === Livenesses.Dead) return 'Dead'
  if (member.liveness === Livenesses.Suspect) return 'Suspect'
  return member.lifecycle === Lifecycles.Joining ? 'Joining' : 'Alive'
}

/** Whether new work may be given to it. */
export const isServing = (member: Member): boolean =>
  member.liveness !== Livenesses.Dead &&
  (member.lifecycle === Lifecycles.Up || member.lifecycle === Lifecycles.WeaklyUp)

/** `NodeState` of seed 003. */
export type ServiceNodeState =
  | 'unknown'
  | 'joining'
  | 'active'
  | 'suspected'
  | 'failed'
  | 'leaving'
  | 'left'

export function toServiceNodeState(
  member: Pick<Member, 'liveness' | 'lifecycle'> | undefined
): ServiceNodeState {
  if (member === undefined) return 'unknown'
  if (member.lifecycle === Lifecycles.Left) return 'left'
  if (member.liveness === Livenesses.Dead) return 'failed'
  if (member.liveness === Livenesses.Suspect) return 'suspected'
  switch (member.lifecycle) {
    case Lifecycles.Joining:
      return 'joining'
    case Lifecycles.Draining:
    case Lifecycles.Leaving:
      return 'leaving'
    default:
      return 'active'
  }
}

/** `status` of seed 002's heartbeats. */
export type ServerStatus = 'healthy' | 'degraded' | 'shutting-down'

export function toServerStatus(member: Pick<Member, 'lifecycle' | 'health'>): ServerStatus {
  const leaving =
    member.lifecycle === Lifecycles.Draining || member.lifecycle === Lifecycles.Leaving
  if (leaving || member.health === HealthStatuses.ShuttingDown) return 'shutting-down'
  return member.health === HealthStatuses.Degraded ? 'degraded' : 'healthy'
}
