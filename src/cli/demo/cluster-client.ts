import { type ConnectOptions, SkeinClient, type SqlSession } from '../../../lib/client.js'
import {
  type Consistency,
  hasCode,
  type QueryResult,
  SkeinError,
  type Statement
} from '../../core/index.js'

export type CallResult =
  | { readonly kind: 'done'; readonly results: readonly QueryResult[] }
  /** `failed`: surely not executed. */
  | { readonly kind: 'indeterminate' | 'failed'; readonly reason: string }

export interface CallOptions {
  /** The client that is asked, by number. */
  readonly home: number
  /** Of that client: its home is asked. */
  readonly session?: SqlSession | undefined
  readonly timeoutMs: number
}

/** What every client of the cluster is given, whichever node it asks first. */
export type ClientAccess = Required<
  Pick<ConnectOptions, 'clusterName' | 'certificateFile' | 'keyFile' | 'caFile'>
>

const connectTimeoutMs = 30_000

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

  /** One atomic command, executed once. */
  write(statements: readonly Statement[], options: CallOptions): Promise<CallResult> {
    const { timeoutMs } = options
    return this.#call(options, (caller) => caller.execute(statements, { timeoutMs }))
  }

  read(statement: Statement, consistency: Consistency, options: CallOptions): Promise<CallResult> {
    const { timeoutMs } = options
    return this.#call(options, (caller) => caller.execute([statement], { timeoutMs, consistency }))
  }

  /** A SQL session of a client, by number. @throws SkeinError */
  openSession(home: number, timeoutMs: number): Promise<SqlSession> {
    return this.#client(home).openSession({ timeoutMs })
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
  }

  async #call(
    { home, session }: CallOptions,
    run: (caller: Pick<SkeinClient, 'execute'>) => Promise<readonly QueryResult[]>
  ): Promise<CallResult> {
    try {
      return { kind: 'done', results: await run(session ?? this.#client(home)) }
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      const isInDoubt = hasCode(error, 'ERR_SKEIN_INDETERMINATE')
      return { kind: isInDoubt ? 'indeterminate' : 'failed', reason: error.code }
    }
  }

  #client(home: number): SkeinClient {
    return this.#clients[home % this.#clients.length] as SkeinClient
  }
}
