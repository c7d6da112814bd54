import { compareText, type NodeId } from '../core/ids.js'

/**
 * Whom a node measures: everybody in a small cluster, `count` in a larger one. By rendezvous over
 * the pair's hash, the same from both ends: two nodes mostly choose one another, and a member that
 * comes or goes moves few choices. In the order of the names.
 */
export function neighboursOf(
  self: NodeId,
  members: readonly NodeId[],
  options: { readonly allBelow: number; readonly count: number }
): NodeId[] {
  const others = members.filter((member) => member !== self).sort(compareText)
  if (others.length < options.allBelow) return others
  return others
    .map((node) => ({ node, hash: pairHash(self, node) }))
    .sort((a, b) => a.hash - b.hash || compareText(a.node, b.node))
    .slice(0, options.count)
    .map(({ node }) => node)
    .sort(compareText)
}

/** FNV-1a of both names in their order, finished as murmur3 does. */
function pairHash(a: NodeId, b: NodeId): number {
  const text = a < b ? `${a}/${b}` : `${b}/${a}`
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
