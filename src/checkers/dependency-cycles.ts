/**
 * Names the cycles of a graph of dependencies after the weakest guarantee that they break.
 *
 * Source: Adya, "Weak consistency" (1999); Kingsbury and Alvaro, "Elle" (2020).
 *
 * | kind | edges of the cycle | breaks |
 * |---|---|---|
 * | `G0` | ww | read uncommitted |
 * | `G1c` | ww, wr | read committed |
 * | `G-single` | ww, wr, one rw | snapshot isolation |
 * | `G2` | ww, wr, several rw | serializability |
 *
 * `needs` says what the cycle takes beside these: the order of a process (then it breaks the
 * strong session form of the guarantee), or real time (then the strict form).
 */
import {
  type DependencyGraph,
  type EdgeKind,
  EdgeKinds,
  type EdgeMask,
  everyEdge,
  type Path
} from './dependency-graph.js'

export const cycleKinds = ['G0', 'G1c', 'G-single', 'G2'] as const
export type CycleKind = (typeof cycleKinds)[number]

export interface CycleStep {
  readonly from: number
  readonly to: number
  readonly kind: EdgeKind
}

export interface DependencyCycle {
  readonly kind: CycleKind
  readonly needs: 'nothing' | 'process' | 'realtime'
  readonly steps: readonly CycleStep[]
}

const { ww, wr, rw, process, realtime } = EdgeKinds

const scopes = [
  { needs: 'nothing', extra: 0 },
  { needs: 'process', extra: process },
  { needs: 'realtime', extra: process | realtime }
] as const

/**
 * Nodes that the search for a cycle with one rw may touch in one component; beyond it a cycle with
 * one may be called `G2`.
 */
const visitsMax = 50_000_000

/** One cycle for each strongly connected component: the worst that it has. */
export const findCycles = (graph: DependencyGraph): DependencyCycle[] =>
  graph.components(graph.nodes(), everyEdge).flatMap((nodes) => worstIn(graph, nodes) ?? [])

function worstIn(graph: DependencyGraph, nodes: Int32Array): DependencyCycle | null {
  for (const { needs, extra } of scopes) {
    const found =
      named('G0', cycleBy(graph, nodes, ww | extra)) ??
      named('G1c', cycleBy(graph, nodes, ww | wr | extra)) ??
      named('G-single', cycleOverOne(graph, nodes, ww | wr | extra)) ??
      named('G2', cycleBy(graph, nodes, ww | wr | rw | extra))
    if (found !== null) return { kind: found.kind, needs, steps: stepsOf(graph, found.path) }
  }
  return null
}

/** What the weaker kinds did not find has at least one edge that they do not know. */
function named(kind: CycleKind, path: Path | null): { kind: CycleKind; path: Path } | null {
  return path === null ? null : { kind, path }
}

function cycleBy(graph: DependencyGraph, nodes: Int32Array, mask: EdgeMask): Path | null {
  const [component] = graph.components(nodes, mask)
  if (component === undefined) return null
  const [start = 0] = component
  return graph.path(start, start, component, mask)
}

/** One rw, and a way back without another. */
function cycleOverOne(graph: DependencyGraph, nodes: Int32Array, back: EdgeMask): Path | null {
  const inside = new Set(nodes)
  let searchesLeft = Math.ceil(visitsMax / nodes.length)
  for (const from of nodes) {
    for (const { to } of graph.edgesFrom(from, rw)) {
      if (!inside.has(to)) continue
      if (searchesLeft-- === 0) return null
      const rest = graph.path(to, from, nodes, back)
      if (rest !== null) return [{ from, to, kind: rw }, ...rest]
    }
  }
  return null
}

const names = Object.keys(EdgeKinds) as EdgeKind[]

/** Joints are left out: the edge into the first of them tells what leads over it. */
function stepsOf(graph: DependencyGraph, path: Path): CycleStep[] {
  const first = path.findIndex(({ from }) => !graph.isJoint(from))
  const turned = [...path.slice(first), ...path.slice(0, first)]
  const steps: CycleStep[] = []
  let open: { from: number; kind: EdgeKind } | null = null
  for (const { from, to, kind } of turned) {
    open ??= { from, kind: names.find((name) => EdgeKinds[name] === kind) ?? 'realtime' }
    if (graph.isJoint(to)) continue
    steps.push({ ...open, to })
    open = null
  }
  return steps
}
