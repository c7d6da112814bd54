/** What a connection is for, as its dialler says in its Hello. */
export const Lanes = {
  /** Messages, and streams. One per pair of nodes. */
  Main: 0,
  /** Streams alone. */
  Streams: 1,
  /** Urgent messages by way of a third node, while the direct path is out. */
  Relayed: 2
} as const
