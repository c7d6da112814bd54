/**
 * The identifiers of the house. Each is a branded type, so that two of them cannot be swapped by
 * accident; each has one constructor that checks, used where a value enters from outside (config,
 * wire, disk, API). Inside, an id that exists is valid.
 */
import type {
  ClientId,
  ClusterId,
  GroupId,
  Incarnation,
  LogIndex,
  NodeId,
  ReplicaId,
  Serial,
  StorageId,
  Term
} from './brands.js'
import { InvalidArgumentError } from './errors.js'

export type {
  ClientId,
  ClusterId,
  GroupId,
  Incarnation,
  LogIndex,
  MonotonicMs,
  NodeId,
  ReplicaId,
  Serial,
  StorageId,
  Term,
  TransactionId,
  WallMs
} from './brands.js'

const NODE_ID = /^[a-z0-9-]{1,63}$/
const REPLICA_ID = /^[a-z0-9-]{1,63}\/[0-9a-f]{16}$/
const HEX_16 = /^[0-9a-f]{16}$/
const HEX_32 = /^[0-9a-f]{32}$/
const CLIENT_ID = /^[\x21-\x7e]{1,64}$/

export const isNodeId = (value: unknown): value is NodeId =>
  typeof value === 'string' && NODE_ID.test(value)

export function toNodeId(value: string): NodeId {
  if (isNodeId(value)) return value
  throw new InvalidArgumentError(
    'nodeId',
    `must match [a-z0-9-]{1,63}, got ${JSON.stringify(value)}`
  )
}

export function toClusterId(value: string): ClusterId {
  if (HEX_32.test(value)) return value as ClusterId
  throw new InvalidArgumentError('clusterId', 'must be 32 lower-case hex digits')
}

export function toStorageId(value: string): StorageId {
  if (HEX_16.test(value)) return value as StorageId
  throw new InvalidArgumentError('storageId', 'must be 16 lower-case hex digits')
}

export function toClientId(value: string): ClientId {
  if (CLIENT_ID.test(value)) return value as ClientId
  throw new InvalidArgumentError('clientId', 'must be 1 to 64 printable ASCII characters')
}

export const replicaIdOf = (node: NodeId, storage: StorageId): ReplicaId =>
  `${node}/${storage}` as ReplicaId

export function toReplicaId(value: string): ReplicaId {
  if (REPLICA_ID.test(value)) return value as ReplicaId
  throw new InvalidArgumentError('replicaId', 'must be <nodeId>/<storageId>')
}

/** The node on which a replica lives. */
export const nodeOf = (replica: ReplicaId): NodeId =>
  replica.slice(0, replica.indexOf('/')) as NodeId

/** The data directory of a replica. */
export const storageOf = (replica: ReplicaId): StorageId =>
  replica.slice(replica.indexOf('/') + 1) as StorageId

const counter =
  <T extends number>(field: string, max = Number.MAX_SAFE_INTEGER) =>
  (value: number): T => {
    if (Number.isSafeInteger(value) && value >= 0 && value <= max) return value as T
    throw new InvalidArgumentError(field, `must be an integer from 0 to ${max}, got ${value}`)
  }

export const toGroupId = counter<GroupId>('groupId', 0xffff_ffff)
export const toTerm = counter<Term>('term')
export const toLogIndex = counter<LogIndex>('logIndex')
export const toIncarnation = counter<Incarnation>('incarnation')
export const toSerial = counter<Serial>('serial')

/** Total order on ids, wherever order reaches the wire, the log or a random pick. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The group that exists in every cluster and holds tables without a shard key. */
export const DEFAULT_GROUP = 0 as GroupId
/** The group whose state machine is the cluster's own: placement, plans, versions, audit. */
export const CONTROL_GROUP = 0xffff_fffe as GroupId

/** For people: `0`, `1`, …, or `control`. */
export const groupName = (group: GroupId): string =>
  group === CONTROL_GROUP ? 'control' : String(group)
