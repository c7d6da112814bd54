/**
 * A cluster whose majority is gone for good goes on from what its survivors hold. This decides
 * which replica each group goes on from, says what may be lost, and refuses where nothing is.
 *
 * Source: the election rule of Raft (dissertation 3.6). Whoever has the highest (last term, last
 * index) holds everything committed that any other survivor holds, so nothing that a survivor has
 * applied is undone. What only lost replicas held is gone, and cannot be counted.
 *
 * 1. All groups are recovered together, under new storage ids and so under another cluster id:
 *    replicas that were lost and come back are of another cluster, whatever they agree on among
 *    themselves, and neither vote nor are heard.
 * 2. Each group has one voter, the replica it goes on from; other survivors that were members are
 *    learners. Nothing is guessed about what they have in common.
 * 3. Terms go on so far above all that a survivor has heard of that no lost replica was there.
 * 4. Every voter is accounted for: it survives, or the operator has named its node as lost.
 */
import { InvalidArgumentError, RecoveryRefusedError } from '../../core/errors.js'
import {
  type ClusterId,
  compareText,
  type GroupId,
  type LogIndex,
  type NodeId,
  nodeOf,
  type ReplicaId,
  replicaIdOf,
  type StorageId,
  type Term
} from '../../core/ids.js'
import type { Crypto } from '../../core/ports/crypto.js'
import { type Configuration, electorateOf, membersOf } from '../configuration.js'
import { clusterIdOf, freshIdentity } from '../identity/replica-identity.js'
import { tallyVotes } from '../raft/quorum.js'

/** More elections than can have been held unheard. */
export const recoveryTermLeap = 1_000_000

/** A branch of a transaction over groups that is prepared and has no end. */
export interface HeldBranch {
  readonly transaction: string
  readonly coordinator: GroupId
  readonly epoch: Term
}

/** What a survivor has of one group. */
export interface ReplicaHolding {
  readonly group: GroupId
  /** Its hard state's. */
  readonly term: Term
  readonly lastTerm: Term
  readonly lastIndex: LogIndex
  /** Committed, for certain: its engine has it, or its log begins behind it. */
  readonly committedIndex: LogIndex
  /** Log time of its last write, in ms since 1970; 0: there was none. */
  readonly lastWriteAt: number
  readonly configuration: Configuration
  readonly branches: readonly HeldBranch[]
  /** Transactions that this group has decided to commit and still tells others of. */
  readonly decided: readonly string[]
}

export interface SurvivorReport {
  readonly nodeId: NodeId
  readonly storageId: StorageId
  readonly clusterName: string
  readonly founders: readonly ReplicaId[]
  readonly groups: readonly GroupId[]
  readonly replicas: readonly ReplicaHolding[]
}

export interface RecoveredSurvivor {
  readonly nodeId: NodeId
  readonly storageBefore: StorageId
  readonly storageId: StorageId
}

export interface GroupRecovery {
  readonly group: GroupId
  /** Whose replica it goes on from. */
  readonly from: NodeId
  readonly lastTerm: Term
  readonly lastIndex: LogIndex
  /** The highest that any survivor knows to be committed. */
  readonly committedIndex: LogIndex
  readonly lastWriteAt: number
  /** Of the entries that the recovery writes. */
  readonly term: Term
  readonly votersBefore: readonly ReplicaId[]
  readonly voters: readonly ReplicaId[]
  readonly learners: readonly ReplicaId[]
  /** The survivors are a quorum of it: nothing is lost. */
  readonly hasQuorum: boolean
  /** Of transactions over groups whose decision no survivor has: an operator's to end. */
  readonly undecided: readonly string[]
}

export interface RecoveryPlan {
  readonly clusterName: string
  readonly clusterIdBefore: ClusterId
  readonly clusterId: ClusterId
  readonly founders: readonly ReplicaId[]
  readonly survivors: readonly RecoveredSurvivor[]
  readonly lost: readonly NodeId[]
  readonly groups: readonly GroupRecovery[]
}

export interface RecoveryRequest {
  readonly reports: readonly SurvivorReport[]
  /** Nodes that never come back, by the operator's word. */
  readonly lost: readonly NodeId[]
  /** Also where every group has a quorum. */
  readonly force: boolean
}

/**
 * @throws InvalidArgumentError the reports are not of one cluster, or contradict what is asked for
 * @throws RecoveryRefusedError a voter is not accounted for, a group has no replica, or nothing is
 * lost
 */
export function planRecovery(crypto: Crypto, request: RecoveryRequest): RecoveryPlan {
  const { reports, force } = request
  const { clusterName, founders: foundersBefore, groups } = expectOneCluster(reports)
  const lost = [...new Set(request.lost)].sort(compareText)
  const contradicted = lost.find((node) => reports.some(({ nodeId }) => nodeId === node))
  if (contradicted !== undefined) {
    throw new InvalidArgumentError('lost', `${contradicted} is among the survivors`)
  }
  const survivors = reports
    .map(({ nodeId, storageId: storageBefore }) => {
      const { storageId } = freshIdentity(crypto, nodeId, clusterName)
      return { nodeId, storageBefore, storageId }
    })
    .sort((a, b) => compareText(a.nodeId, b.nodeId))
  const chosen = groups.map((group) => recoverGroup(group, reports, survivors))
  expectAccounted(chosen, reports, lost)
  if (chosen.every(({ hasQuorum }) => hasQuorum) && !force) {
    const names = reports.map(({ nodeId }) => nodeId).join(', ')
    throw new RecoveryRefusedError(
      `${names} are a quorum of every group: start them, and nothing is lost; say force to go on`
    )
  }
  const founders = survivors.map(replicaOf).sort(compareText)
  return {
    clusterName,
    clusterIdBefore: clusterIdOf(crypto, clusterName, foundersBefore),
    clusterId: clusterIdOf(crypto, clusterName, founders),
    founders,
    survivors,
    lost,
    groups: withUndecided(chosen, reports)
  }
}

/** By (last term, last index), then by what is known to be committed. */
export function isMoreAdvanced(a: ReplicaHolding, b: ReplicaHolding): boolean {
  if (a.lastTerm !== b.lastTerm) return a.lastTerm > b.lastTerm
  if (a.lastIndex !== b.lastIndex) return a.lastIndex > b.lastIndex
  return a.committedIndex > b.committedIndex
}

interface Held {
  readonly report: SurvivorReport
  readonly holding: ReplicaHolding
}

function heldOf(group: GroupId, reports: readonly SurvivorReport[]): readonly Held[] {
  return reports.flatMap((report) => {
    const holding = report.replicas.find((replica) => replica.group === group)
    return holding === undefined ? [] : [{ report, holding }]
  })
}

function mostAdvanced(group: GroupId, reports: readonly SurvivorReport[]): Held {
  const [first, ...others] = heldOf(group, reports)
  let best = first
  for (const held of others) {
    if (best !== undefined && isMoreAdvanced(held.holding, best.holding)) best = held
  }
  if (best !== undefined && electorateOf(best.holding.configuration).length > 0) return best
  throw new RecoveryRefusedError(`no survivor holds anything of group ${group}`, {
    details: { group }
  })
}

function recoverGroup(
  group: GroupId,
  reports: readonly SurvivorReport[],
  survivors: readonly RecoveredSurvivor[]
): GroupRecovery {
  const { report, holding } = mostAdvanced(group, reports)
  const { lastTerm, lastIndex, lastWriteAt, configuration } = holding
  const members = membersOf(configuration)
  const isLearner = ({ nodeId, storageBefore }: RecoveredSurvivor) =>
    nodeId !== report.nodeId && members.includes(replicaIdOf(nodeId, storageBefore))
  const isVoter = ({ nodeId }: RecoveredSurvivor) => nodeId === report.nodeId
  const present = new Map(reports.map((one) => [replicaIdOf(one.nodeId, one.storageId), true]))
  return {
    group,
    from: report.nodeId,
    lastTerm,
    lastIndex,
    committedIndex: Math.max(
      ...heldOf(group, reports).map((held) => held.holding.committedIndex)
    ) as LogIndex,
    lastWriteAt,
    term: (highestTerm(group, reports) + recoveryTermLeap) as Term,
    votersBefore: electorateOf(configuration),
    voters: survivors.filter(isVoter).map(replicaOf),
    learners: survivors.filter(isLearner).map(replicaOf),
    hasQuorum: tallyVotes(configuration, present) === 'won',
    undecided: []
  }
}

function highestTerm(group: GroupId, reports: readonly SurvivorReport[]): number {
  let highest = 0
  for (const { replicas } of reports) {
    for (const replica of replicas) {
      if (replica.group === group) highest = Math.max(highest, replica.term)
      for (const { coordinator, epoch } of replica.branches) {
        if (coordinator === group) highest = Math.max(highest, epoch)
      }
    }
  }
  return highest
}

function withUndecided(
  groups: readonly GroupRecovery[],
  reports: readonly SurvivorReport[]
): readonly GroupRecovery[] {
  const kept = new Map(groups.map(({ group }) => [group, mostAdvanced(group, reports).holding]))
  const isUndecided = ({ transaction, coordinator }: HeldBranch) =>
    !kept.get(coordinator)?.decided.includes(transaction)
  return groups.map((recovery) => {
    const branches = kept.get(recovery.group)?.branches ?? []
    const undecided = branches.filter(isUndecided).map(({ transaction }) => transaction)
    return { ...recovery, undecided }
  })
}

function expectOneCluster(reports: readonly SurvivorReport[]): SurvivorReport {
  const [first, ...others] = [...reports].sort((a, b) => b.groups.length - a.groups.length)
  if (first === undefined) throw new InvalidArgumentError('reports', 'one at least is needed')
  const nodes = reports.map(({ nodeId }) => nodeId)
  const twice = nodes.find((node, i) => nodes.indexOf(node) !== i)
  if (twice !== undefined) throw new InvalidArgumentError('reports', `${twice} is there twice`)
  for (const { nodeId, clusterName, founders } of others) {
    if (clusterName === first.clusterName && founders.join() === first.founders.join()) continue
    const message = `${nodeId} is of another cluster than ${first.nodeId}`
    throw new InvalidArgumentError('reports', message)
  }
  return first
}

function expectAccounted(
  groups: readonly GroupRecovery[],
  reports: readonly SurvivorReport[],
  lost: readonly NodeId[]
): void {
  const known = new Set<NodeId>([...reports.map(({ nodeId }) => nodeId), ...lost])
  const voters = groups.flatMap(({ votersBefore }) => votersBefore.map(nodeOf))
  const missing = [...new Set(voters)].filter((node) => !known.has(node)).sort(compareText)
  if (missing.length === 0) return
  throw new RecoveryRefusedError(
    `not accounted for: ${missing.join(', ')}; give what it holds, or name it as lost for good`,
    { details: { missing } }
  )
}

const replicaOf = ({ nodeId, storageId }: RecoveredSurvivor): ReplicaId =>
  replicaIdOf(nodeId, storageId)
