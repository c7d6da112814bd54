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

const state = struct({
  clusterVersion: u16,
  minVersion: u16,
  /** Sorted by their ids. */
  nodes: list(nodeVersion, versionNodesMax)
})
export type ClusterVersionState = TypeOf<typeof state>

const change = union({
  /** A node says what its software speaks. */
  report: [1, struct({ node: nodeId, ...versionRange, software: text(softwareTextBytesMax) })],
  /** The node will not come back. */
  forget: [2, struct({ node: nodeId })],
  /** `members`: whom the proposer knows; those that have not reported count as older. */
  finalize: [3, struct({ to: u16, members: list(nodeId, versionNodesMax) })]
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
  state,
  change,
  answer,
  initial: () => ({ clusterVersion: 1, minVersion: 1, nodes: [] }),
  apply(before, change, at) {
    switch (change.kind) {
      case 'report':
        return report(before, { ...withoutKind(change), reportedAt: at.now })
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
function report(before: ClusterVersionState, reported: NodeVersion): Outcome {
  const others = before.nodes.filter(({ node }) => node !== reported.node)
  if (others.length >= versionNodesMax) return refused(before, 'tooMany', [reported.node])
  const nodes = [...others, reported].sort((a, b) => compareText(a.node, b.node))
  const refusal = rangeRefusal(before, reported)
  const after = { ...before, nodes }
  return refusal === null ? done(after) : refused(after, refusal, [reported.node])
}

function forget(before: ClusterVersionState, gone: NodeId): Outcome {
  const nodes = before.nodes.filter(({ node }) => node !== gone)
  if (nodes.length === before.nodes.length) return refused(before, 'unknownNode', [gone])
  return done({ ...before, nodes })
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

function withoutKind({
  node,
  min,
  max,
  software
}: Extract<ClusterVersionChange, { kind: 'report' }>): Omit<NodeVersion, 'reportedAt'> {
  return { node, min, max, software }
}
