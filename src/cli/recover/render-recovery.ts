import type {
  GroupRecovery,
  RecoveryPlan,
  ReplicaHolding,
  SurvivorReport
} from '../../consensus/index.js'
import { groupName, nodeOf, type ReplicaId } from '../../core/index.js'
import { printable, table } from '../output.js'

/** Transactions named for each group; the plan has all of them. */
const undecidedShownMax = 16

export function renderReport({ nodeId, clusterName, replicas }: SurvivorReport): string {
  const rows = replicas.map((holding) => [
    groupName(holding.group),
    String(holding.term),
    String(holding.lastTerm),
    String(holding.lastIndex),
    String(holding.committedIndex),
    wallTime(holding.lastWriteAt),
    nodesOf(votersOf(holding)),
    String(holding.branches.length)
  ])
  const head = [
    'group',
    'term',
    'last term',
    'last index',
    'known committed',
    'last write',
    'voters',
    'in doubt'
  ]
  return `${printable(`${nodeId} of cluster ${clusterName}`)}\n\n${table(head, rows)}`
}

export function renderPlan(plan: RecoveryPlan): string {
  const { clusterName, clusterIdBefore, clusterId, survivors, lost, groups } = plan
  const rows = groups.map((recovery) => [
    groupName(recovery.group),
    recovery.from,
    String(recovery.lastTerm),
    String(recovery.lastIndex),
    String(recovery.committedIndex),
    wallTime(recovery.lastWriteAt),
    nodesOf(recovery.votersBefore),
    nodesOf(recovery.voters)
  ])
  const head = [
    'group',
    'goes on from',
    'last term',
    'last index',
    'known committed',
    'last write',
    'voters before',
    'voters'
  ]
  return [
    printable(`cluster ${clusterName} (${clusterIdBefore}) goes on as ${clusterId}`),
    `survivors: ${survivors.map(({ nodeId }) => nodeId).join(' ')}; lost: ${lost.join(' ') || '-'}`,
    '',
    table(head, rows),
    '',
    ...groups.flatMap((recovery) => lossesOf(recovery).map(printable))
  ].join('\n')
}

function lossesOf(recovery: GroupRecovery): string[] {
  const { from, lastIndex, committedIndex, lastWriteAt, hasQuorum, undecided } = recovery
  const group = `group ${groupName(recovery.group)}`
  if (hasQuorum) return [`${group}: nothing is lost, the survivors are a quorum`]
  const since = lastWriteAt === 0 ? '' : ` after ${wallTime(lastWriteAt)}`
  const lines = [
    `${group}: what was acknowledged${since} and never came to ${from} is LOST; ` +
      'how much that is nobody knows'
  ]
  if (lastIndex > committedIndex) {
    const first = committedIndex + 1
    lines.push(`${group}: entries ${first} to ${lastIndex} are kept, acknowledged or not`)
  }
  if (undecided.length > 0) {
    const shown = undecided.slice(0, undecidedShownMax).join(' ')
    const more = undecided.length > undecidedShownMax ? ' …' : ''
    lines.push(
      `${group}: ${undecided.length} transactions wait for an operator’s word ` +
        `(skein transactions resolve): ${shown}${more}`
    )
  }
  return lines
}

const votersOf = ({ configuration }: ReplicaHolding): readonly ReplicaId[] => [
  ...new Set([...configuration.voters, ...configuration.votersOutgoing])
]

const nodesOf = (replicas: readonly ReplicaId[]): string => replicas.map(nodeOf).join(' ')

const wallTime = (at: number): string => (at === 0 ? 'never' : new Date(at).toISOString())
