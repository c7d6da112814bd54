/**
 * Which of two open connections to the same peer stays.
 *
 * A node dials only while it has no connection to the peer, and each of its Hellos bears a
 * number that rises within one boot. So a Hello dialled with a higher number than the peer's
 * Hello on the older connection proves that the peer had lost the older one; otherwise both were
 * dialled at the same time, and the one that the node with the smaller id dialled stays. Both
 * ends see the same numbers and choose alike.
 */
import { compareText, type NodeId } from '../../core/ids.js'

export interface OpenConnection {
  readonly isDialer: boolean
  readonly peerBootNonce: string
  /** The number of the peer's Hello. */
  readonly peerSequence: number
}

export const Choices = {
  /** The older one is dead at the other end. */
  CloseOlder: 'closeOlder',
  /** Both live: the older one finishes what is under way. */
  RetireOlder: 'retireOlder',
  RetireNewer: 'retireNewer'
} as const
export type Choice = (typeof Choices)[keyof typeof Choices]

export function chooseConnection(
  older: OpenConnection,
  newer: OpenConnection,
  self: NodeId,
  peer: NodeId
): Choice {
  if (older.peerBootNonce !== newer.peerBootNonce) return Choices.CloseOlder
  if (older.isDialer === newer.isDialer) return Choices.CloseOlder
  if (!newer.isDialer && newer.peerSequence > older.peerSequence) return Choices.CloseOlder
  const newerDialler = newer.isDialer ? self : peer
  const olderDialler = older.isDialer ? self : peer
  return compareText(newerDialler, olderDialler) < 0 ? Choices.RetireOlder : Choices.RetireNewer
}
