/**
 * A directed graph whose edges say why one transaction comes before another.
 *
 * Source: Adya, "Weak consistency" (1999), for the three dependencies; Tarjan, "Depth-first search
 * and linear graph algorithms" (1972), without recursion.
 *
 * Nodes are numbers. Further nodes, made by `addJoint`, stand for nothing: they let `n` nodes come
 * before `m` others by `n + m` edges in the place of `n · m`.
 */
export const EdgeKinds = {
  /** The target wrote the version behind the one that the source wrote. */
  ww: 1,
  /** The target read what the source wrote. */
  wr: 2,
  /** The target wrote the version behind the one that the source read. */
  rw: 4,
  /** The same process did the source first. */
  process: 8,
  /** The source had ended when the target began. */
  realtime: 16
} as const
export type EdgeKind = keyof typeof EdgeKinds

/** Some of the kinds, as the sum of their numbers. */
export type EdgeMask = number

export const everyEdge: EdgeMask = 31

/** A path: each edge's end is the next one's beginning. */
export type Path = readonly { readonly from: number; readonly to: number; readonly kind: number }[]

export class DependencyGraph {
  readonly #from: number[] = []
  readonly #to: number[] = []
  readonly #kind: number[] = []
  readonly #namedCount: number
  #nodeCount: number
  /** Edges in the order of their sources: those of a node lie from `offsets[n]` on. */
  #offsets = new Int32Array(0)
  #targets = new Int32Array(0)
  #kinds = new Uint8Array(0)
  /** Nodes of the latest path's part carry the latest mark. */
  #marks = new Int32Array(0)
  #mark = 0
  #marked: Int32Array | null = null

  /** @param nodeCount nodes that stand for something, from 0 on */
  constructor(nodeCount: number) {
    this.#namedCount = nodeCount
    this.#nodeCount = nodeCount
  }

  addJoint(): number {
    return this.#nodeCount++
  }

  isJoint(node: number): boolean {
    return node >= this.#namedCount
  }

  add(from: number, to: number, kind: EdgeKind): void {
    if (from === to) return
    this.#from.push(from)
    this.#to.push(to)
    this.#kind.push(EdgeKinds[kind])
  }

  /** To be called once, when every edge is there. */
  freeze(): void {
    const offsets = new Int32Array(this.#nodeCount + 1)
    for (const from of this.#from) offsets[from + 1] = (offsets[from + 1] as number) + 1
    for (let n = 0; n < this.#nodeCount; n++) {
      offsets[n + 1] = (offsets[n + 1] as number) + (offsets[n] as number)
    }
    const next = offsets.slice()
    this.#targets = new Int32Array(this.#from.length)
    this.#kinds = new Uint8Array(this.#from.length)
    for (let e = 0; e < this.#from.length; e++) {
      const from = this.#from[e] as number
      const at = next[from] as number
      next[from] = at + 1
      this.#targets[at] = this.#to[e] as number
      this.#kinds[at] = this.#kind[e] as number
    }
    this.#offsets = offsets
    this.#marks = new Int32Array(this.#nodeCount)
  }

  /** Every node. */
  nodes(): Int32Array {
    return Int32Array.from({ length: this.#nodeCount }, (_, n) => n)
  }

  /** The edges of these kinds from a node. */
  *edgesFrom(node: number, mask: EdgeMask): Iterable<{ to: number; kind: number }> {
    for (let e = this.#offsets[node] as number; e < (this.#offsets[node + 1] as number); e++) {
      const kind = this.#kinds[e] as number
      if ((kind & mask) !== 0) yield { to: this.#targets[e] as number, kind }
    }
  }

  /**
   * Strongly connected components of more than one node, of the part of the graph that has these
   * nodes and kinds of edges.
   */
  components(nodes: Int32Array, mask: EdgeMask): Int32Array[] {
    return new ComponentSearch(
      { offsets: this.#offsets, targets: this.#targets, kinds: this.#kinds, mask },
      nodes
    ).run()
  }

  /** A shortest path within `nodes`, by edges of these kinds; null: there is none. */
  path(from: number, to: number, nodes: Int32Array, mask: EdgeMask): Path | null {
    const within = this.#markOf(nodes)
    const cameBy = new Map<number, { readonly from: number; readonly kind: number }>()
    const queue = [from]
    for (let head = 0; head < queue.length; head++) {
      const node = queue[head] as number
      for (let e = this.#offsets[node] as number; e < (this.#offsets[node + 1] as number); e++) {
        const target = this.#targets[e] as number
        const kind = this.#kinds[e] as number
        if ((kind & mask) === 0 || this.#marks[target] !== within || cameBy.has(target)) continue
        cameBy.set(target, { from: node, kind })
        if (target === to) return unwind(cameBy, from, to)
        queue.push(target)
      }
    }
    return null
  }

  #markOf(nodes: Int32Array): number {
    if (this.#marked === nodes) return this.#mark
    this.#marked = nodes
    this.#mark++
    for (const node of nodes) this.#marks[node] = this.#mark
    return this.#mark
  }
}

function unwind(
  cameBy: ReadonlyMap<number, { readonly from: number; readonly kind: number }>,
  from: number,
  to: number
): Path {
  const path: { from: number; to: number; kind: number }[] = []
  let node = to
  do {
    const step = cameBy.get(node)
    if (step === undefined) break
    path.unshift({ from: step.from, to: node, kind: step.kind })
    node = step.from
  } while (node !== from)
  return path
}

interface MaskedEdges {
  readonly offsets: Int32Array
  readonly targets: Int32Array
  readonly kinds: Uint8Array
  readonly mask: EdgeMask
}

const outside = -1
const unseen = 0

/** One search; numbers of nodes are those of the graph. */
class ComponentSearch {
  readonly #edges: MaskedEdges
  readonly #nodes: Int32Array
  /** When a node was first seen, from 1; of nodes that do not belong, `outside`. */
  readonly #seenAt: Int32Array
  readonly #lowest: Int32Array
  readonly #isOpen: Uint8Array
  readonly #nextEdge: Int32Array
  readonly #open: number[] = []
  readonly #found: Int32Array[] = []
  #clock = 0

  constructor(edges: MaskedEdges, nodes: Int32Array) {
    const size = edges.offsets.length - 1
    this.#edges = edges
    this.#nodes = nodes
    this.#seenAt = new Int32Array(size).fill(outside)
    this.#lowest = new Int32Array(size)
    this.#isOpen = new Uint8Array(size)
    this.#nextEdge = new Int32Array(size)
    for (const node of nodes) this.#seenAt[node] = unseen
  }

  run(): Int32Array[] {
    for (const root of this.#nodes) if (this.#seenAt[root] === unseen) this.#visit(root)
    return this.#found
  }

  #visit(root: number): void {
    const path = [root]
    this.#enter(root)
    while (path.length > 0) {
      const node = path[path.length - 1] as number
      const target = this.#nextTarget(node)
      if (target === outside) {
        path.pop()
        this.#leave(node)
        const parent = path[path.length - 1]
        if (parent !== undefined) this.#lower(parent, this.#lowest[node] as number)
      } else if (this.#seenAt[target] === unseen) {
        this.#enter(target)
        path.push(target)
      } else if (this.#isOpen[target] === 1) {
        this.#lower(node, this.#seenAt[target] as number)
      }
    }
  }

  #nextTarget(node: number): number {
    const { offsets, targets, kinds, mask } = this.#edges
    const end = offsets[node + 1] as number
    let edge = this.#nextEdge[node] as number
    while (edge < end) {
      const target = targets[edge] as number
      const isOurs = ((kinds[edge] as number) & mask) !== 0 && this.#seenAt[target] !== outside
      edge++
      if (!isOurs) continue
      this.#nextEdge[node] = edge
      return target
    }
    this.#nextEdge[node] = edge
    return outside
  }

  #enter(node: number): void {
    this.#seenAt[node] = ++this.#clock
    this.#lowest[node] = this.#clock
    this.#isOpen[node] = 1
    this.#nextEdge[node] = this.#edges.offsets[node] as number
    this.#open.push(node)
  }

  #leave(node: number): void {
    if (this.#lowest[node] !== this.#seenAt[node]) return
    const at = this.#open.lastIndexOf(node)
    const component = this.#open.splice(at)
    for (const member of component) this.#isOpen[member] = 0
    if (component.length > 1) this.#found.push(Int32Array.from(component))
  }

  #lower(node: number, to: number): void {
    if (to < (this.#lowest[node] as number)) this.#lowest[node] = to
  }
}
