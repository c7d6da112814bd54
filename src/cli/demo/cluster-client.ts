import { type ConnectOptions, SkeinClient, type SqlSession } from '../../../lib/client.js'
import {
  type Consistency,
  type GroupId,
  hasCode,
  type NodeId,
  type QueryResult,
  SkeinError,
  type SqlValue,
  type Statement
} from '../../core/index.js'

export type CallResult =
  | { readonly kind: 'done'; readonly results: readonly QueryResult[] }
  /** `failed`: surely not executed. */
  | { readonly kind: 'indeterminate' | 'failed'; readonly reason: string }

export interface CallOptions {
  /** The client that is asked, by number. */
  readonly home: number
  readonly timeoutMs: number
  /** All that is asked is about rows with this key. */
  readonly shardKey?: SqlValue
}

/** What every client of the cluster is given, whichever node it asks first. */
export type ClientAccess = Required<
  Pick<ConnectOptions, 'clusterName' | 'certificateFile' | 'keyFile' | 'caFile'>
>

const connectTimeoutMs = 30_000
const openSessionTimeoutMs = 30_000

/** At once: nodes bound the handshakes of one address. */
const connectionsAtOnce = 16

/**
 * Clients that know one node after the other first. They route, try again and number their writes
 * by themselves: this class only tells how a call ended.
 */
export class ClusterClient {
  readonly #clients: readonly SkeinClient[]

  /** @throws JoinFailedError, CertificateError */
  static async connect(
    addresses: readonly string[],
    access: ClientAccess,
    count: number
  ): Promise<ClusterClient> {
    const clients: SkeinClient[] = []
    try {
      while (clients.length < count) {
        const length = Math.min(connectionsAtOnce, count - clients.length)
        const started = Array.from({ length }, (_, i) => {
          const first = (clients.length + i) % addresses.length
          const known = [...addresses.slice(first), ...addresses.slice(0, first)]
          return SkeinClient.connect({ ...access, addresses: known, connectTimeoutMs })
        })
        const settled = await Promise.allSettled(started)
        for (const one of settled) if (one.status === 'fulfilled') clients.push(one.value)
        const failed = settled.find((one) => one.status === 'rejected')
        if (failed !== undefined) throw failed.reason
      }
    } catch (error) {
      await Promise.all(clients.map((client) => client.close()))
      throw error
    }
    return new ClusterClient(clients)
  }

  private constructor(clients: readonly SkeinClient[]) {
    this.#clients = clients
  }

  get size(): number {
    return this.#clients.length
  }

  /** One atomic command, executed once. */
  write(statements: readonly Statement[], options: CallOptions): Promise<CallResult> {
    const { home, ...choices } = options
    return ended(() => this.#client(home).execute(statements, choices))
  }

  read(statement: Statement, consistency: Consistency, options: CallOptions): Promise<CallResult> {
    const { home, ...choices } = options
    return ended(() => this.#client(home).execute([statement], { ...choices, consistency }))
  }

  /** @throws coded errors */
  async openSession(home: number): Promise<DemoSession> {
    const session = await this.#client(home).openSession({ timeoutMs: openSessionTimeoutMs })
    return new DemoSession(session)
  }

  /** Where a client would send it; null: it does not know the way. */
  groupOf({ sql, params }: Statement, home = 0): GroupId | null {
    try {
      const options = params === undefined ? {} : { params }
      return this.#client(home).routeQuery(sql, options).group
    } catch (error) {
      if (hasCode(error, 'ERR_SKEIN_NO_ELIGIBLE_NODE')) return null
      throw error
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
  }

  #client(home: number): SkeinClient {
    return this.#clients[home % this.#clients.length] as SkeinClient
  }
}

/** A SQL session of one of the clients. */
export class DemoSession {
  readonly #session: SqlSession

  constructor(session: SqlSession) {
    this.#session = session
  }

  get id(): string {
    return this.#session.id
  }

  get node(): NodeId | null {
    return this.#session.home
  }

  /** How often its home was lost, and it was taken over by another one. */
  get reattachments(): number {
    return this.#session.counts.reattachments
  }

  /** @throws coded errors */
  prepare(name: string, sql: string): Promise<void> {
    return this.#session.prepare(name, sql)
  }

  write(statements: readonly Statement[], timeoutMs: number): Promise<CallResult> {
    return ended(() => this.#session.execute(statements, { timeoutMs }))
  }

  read(statement: Statement, consistency: Consistency, timeoutMs: number): Promise<CallResult> {
    return ended(() => this.#session.execute([statement], { timeoutMs, consistency }))
  }

  /** What was prepared under the name. */
  run(name: string, params: Statement['params'], timeoutMs: number): Promise<CallResult> {
    return ended(async () => [await this.#session.run(name, params, { timeoutMs })])
  }
}

async function ended(run: () => Promise<readonly QueryResult[]>): Promise<CallResult> {
  try {
    return { kind: 'done', results: await run() }
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error
    const isInDoubt = hasCode(error, 'ERR_SKEIN_INDETERMINATE')
    return { kind: isInDoubt ? 'indeterminate' : 'failed', reason: error.code }
  }
}
