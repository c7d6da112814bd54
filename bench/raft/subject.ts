/** Where a cluster's replicas are, and what it counted: the same of ours and of the peer. */
export interface LeaderCounts {
  /** Entries of its log, and times that it made them durable, since it began. */
  readonly entries: number
  readonly syncs: number
  /** Null: the same as its entries. */
  readonly writes: number | null
}

/** Three processes on one machine that replicate puts, and clients of them in this process. */
export interface RaftSubject {
  readonly name: string
  readonly pids: readonly number[]
  /** Opens so many connections for the clients; earlier ones are closed. */
  connect(connections: number): Promise<void>
  /** Resolves when it is durable on a majority. `client` chooses the connection. */
  put(client: number, key: string, value: Uint8Array): Promise<void>
  leaderCounts(): Promise<LeaderCounts>
  stop(): Promise<void>
}
