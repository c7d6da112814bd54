/**
 * Which formats may be proposed. The cluster version is the highest; it is raised by an operator
 * alone, when every member's software speaks it, and never goes down. Until then the version before
 * can come back on every node.
 *
 * 1. Nobody proposes a format above `clusterVersion`.
 * 2. `minVersion` is the oldest format that logs and snapshots may still hold: software that cannot
 *    read it cannot take part, however new it is.
 * 3. Raising is refused while a member is older, or has not said what it speaks.
 */
import { compareText, type NodeId } from '../../core/ids.js'
import {
  list,
  nodeId,
  nullable,
  oneOf,
  openStruct,
  struct,
  type TypeOf,
  text,
  u16,
  union
} from '../../wire/codec.js'
import { wallMs } from '../change-command.js'
import type { ControlSection } from '../section.js'

/** Nodes whose software is known; further reports are refused. */
export const versionNodesMax = 1_024
/** Nodes named in a refusal. */
export const versionNodesNamedMax = 16

const softwareTextBytesMax = 32
export const runtimeTextBytesMax = 32

/** The cluster version from which on nodes say what their software runs on. */
export const runtimeVersion = 2

/** What the software of a node reads and writes. */
const versionRange = { min: u16, max: u16 } as const

const nodeVersion = struct({
  node: nodeId,
  ...versionRange,
  /** Of the package, for people. */
  software: text(softwareTextBytesMax),
  reportedAt: wallMs
})
export type NodeVersion = TypeOf<typeof nodeVersion>

const runtimeText = text(runtimeTextBytesMax)

const state = openStruct(
  {
    clusterVersion: u16,
    minVersion: u16,
    /** Sorted by their ids. */
    nodes: list(nodeVersion, versionNodesMax)
  },
  {
    /** What the software of those nodes runs on that have said it; absent: nobody has. */
    runtimes: [1, list(struct({ node: nodeId, runtime: runtimeText }), versionNodesMax)]
  }
)
export type ClusterVersionState = TypeOf<typeof state>

const change = union({
  /** A node says what its software speaks. */
  report: [1, struct({ node: nodeId, ...versionRange, software: text(softwareTextBytesMax) })],
  /** The node will not come back. */
  forget: [2, struct({ node: nodeId })],
  /** `members`: whom the proposer knows; those that have not reported count as older. */
  finalize: [3, struct({ to: u16, members: list(nodeId, versionNodesMax) })],
  /** A report that also says what the software runs on, such as `Node.js 22.21.0`. */
  describe: [
    4,
    struct({
      node: nodeId,
      ...versionRange,
      software: text(softwareTextBytesMax),
      runtime: runtimeText
    })
  ]
})
export type ClusterVersionChange = TypeOf<typeof change>

export const versionRefusals = [
  'tooOld',
  'tooNew',
  'tooMany',
  'unknownNode',
  'notAbove',
  'olderMembers'
] as const
export type VersionRefusal = (typeof versionRefusals)[number]

const answer = struct({
  refusal: nullable(oneOf(versionRefusals)),
  /** Whom the refusal is about, the first of them. */
  nodes: list(nodeId, versionNodesNamedMax),
  clusterVersion: u16,
  minVersion: u16
})
export type ClusterVersionAnswer = TypeOf<typeof answer>

export const clusterVersionSection: ControlSection<
  ClusterVersionState,
  ClusterVersionChange,
  ClusterVersionAnswer
> = {
  name: 'cluster-version',
  format: runtimeVersion,
  state,
  change,
  answer,
  initial: () => ({ clusterVersion: 1, minVersion: 1, nodes: [] }),
  formatOf: ({ kind }) => (kind === 'describe' ? runtimeVersion : 1),
  apply(before, change, at) {
    switch (change.kind) {
      case 'report':
        return report(withRuntime(before, change.node, null), reported(change, at.now))
      case 'describe':
        return report(withRuntime(before, change.node, change.runtime), reported(change, at.now))
      case 'forget':
        return forget(before, change.node)
      case 'finalize':
        return finalize(before, change.to, change.members)
    }
  }
}

/** Whether something of this format may be proposed. */
export const mayPropose = ({ clusterVersion }: ClusterVersionState, format: number): boolean =>
  format <= clusterVersion

/** What keeps software of this range out of the cluster; null: nothing. */
export function rangeRefusal(
  { clusterVersion, minVersion }: Pick<ClusterVersionState, 'clusterVersion' | 'minVersion'>,
  { min, max }: { readonly min: number; readonly max: number }
): 'tooOld' | 'tooNew' | null {
  if (max < clusterVersion) return 'tooOld'
  return min > minVersion ? 'tooNew' : null
}

/** The highest version that all of them speak; null while one has not reported. */
export function highestCommon(
  { nodes }: ClusterVersionState,
  members: readonly NodeId[]
): number | null {
  const known = new Set(nodes.map(({ node }) => node))
  if (nodes.length === 0 || members.some((member) => !known.has(member))) return null
  return Math.min(...nodes.map(({ max }) => max))
}

type Outcome = { readonly state: ClusterVersionState; readonly answer: ClusterVersionAnswer }

/** Recorded even when it does not fit: an operator has to see who is in the way. */
function report(before: ClusterVersionState, given: NodeVersion): Outcome {
  const others = before.nodes.filter(({ node }) => node !== given.node)
  if (others.length >= versionNodesMax) {
    return refused(withRuntime(before, given.node, null), 'tooMany', [given.node])
  }
  const nodes = [...others, given].sort((a, b) => compareText(a.node, b.node))
  const refusal = rangeRefusal(before, given)
  const after = { ...before, nodes }
  return refusal === null ? done(after) : refused(after, refusal, [given.node])
}

function forget(before: ClusterVersionState, gone: NodeId): Outcome {
  const nodes = before.nodes.filter(({ node }) => node !== gone)
  if (nodes.length === before.nodes.length) return refused(before, 'unknownNode', [gone])
  return done({ ...withRuntime(before, gone, null), nodes })
}

function finalize(before: ClusterVersionState, to: number, members: readonly NodeId[]): Outcome {
  if (to <= before.clusterVersion) return refused(before, 'notAbove', [])
  const known = new Set(before.nodes.map(({ node }) => node))
  const silent = members.filter((member) => !known.has(member))
  const older = before.nodes.filter(({ max }) => max < to).map(({ node }) => node)
  const inTheWay = [...new Set([...silent, ...older])].sort(compareText)
  if (inTheWay.length > 0) return refused(before, 'olderMembers', inTheWay)
  return done({ ...before, clusterVersion: to, minVersion: before.clusterVersion })
}

const done = (state: ClusterVersionState): Outcome => ({ state, answer: answerOf(state, null, []) })

const refused = (
  state: ClusterVersionState,
  refusal: VersionRefusal,
  nodes: readonly NodeId[]
): Outcome => ({ state, answer: answerOf(state, refusal, nodes) })

const answerOf = (
  { clusterVersion, minVersion }: ClusterVersionState,
  refusal: VersionRefusal | null,
  nodes: readonly NodeId[]
): ClusterVersionAnswer => ({
  refusal,
  nodes: nodes.slice(0, versionNodesNamedMax),
  clusterVersion,
  minVersion
})

/** Null: the node has not said it, or runs other software now. */
function withRuntime(
  { runtimes = [], ...rest }: ClusterVersionState,
  node: NodeId,
  runtime: string | null
): ClusterVersionState {
  const others = runtimes.filter((one) => one.node !== node)
  const kept = runtime === null ? others : [...others, { node, runtime }]
  if (kept.length === 0) return rest
  return { ...rest, runtimes: kept.sort((a, b) => compareText(a.node, b.node)) }
}

const reported = (
  { node, min, max, software }: Omit<NodeVersion, 'reportedAt'>,
  reportedAt: NodeVersion['reportedAt']
): NodeVersion => ({ node, min, max, software, reportedAt })
