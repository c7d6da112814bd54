import type { Random } from '../../core/index.js'
import { balanceSql, drawAccount, drawTransfer, type Transfer, transferStatements } from './bank.js'
import type { CallResult, ClusterClient, DemoSession } from './cluster-client.js'
import type { Shards } from './shards.js'
import type { ClientRecord, Tally } from './tally.js'

export interface WorkloadOptions {
  readonly nodes: number
  readonly scale: number
  /** Tells this run's history rows from earlier ones'. */
  readonly runId: string
  readonly writersPerNode: number
  readonly readersPerNode: number
}

/** Of one operation with all its attempts; longer than a change of leaders on a busy machine. */
const operationTimeoutMs = 20_000

const balance = 'balance'

/**
 * Workers that transfer money and read balances, shared out among the clients, each with a SQL
 * session of its own. What a writer sends can be drawn again.
 */
export class Workload {
  readonly #cluster: ClusterClient
  readonly #tally: Tally
  readonly #random: Random
  readonly #shards: Shards
  readonly #options: WorkloadOptions
  readonly #sessions: DemoSession[] = []
  #isRunning = false
  #workers: Promise<void>[] = []

  constructor(
    components: {
      readonly cluster: ClusterClient
      readonly tally: Tally
      readonly random: Random
      readonly shards: Shards
    },
    options: WorkloadOptions
  ) {
    this.#cluster = components.cluster
    this.#tally = components.tally
    this.#random = components.random
    this.#shards = components.shards
    this.#options = options
  }

  get sessions(): readonly DemoSession[] {
    return this.#sessions
  }

  /** Resolves when every worker has its session and works. @throws coded errors */
  async start(): Promise<void> {
    this.#isRunning = true
    const { nodes, writersPerNode, readersPerNode, runId } = this.#options
    const starts: Promise<void>[] = []
    for (let home = 0; home < nodes; home++) {
      for (let i = 0; i < writersPerNode; i++) {
        starts.push(this.#startWriter(home, `${runId}-n${home + 1}-w${i + 1}`))
      }
      for (let i = 0; i < readersPerNode; i++) {
        starts.push(this.#startReader(home, `n${home + 1}-r${i + 1}`))
      }
    }
    await Promise.all(starts)
  }

  /** Resolves when every worker has its last answer. */
  async stop(): Promise<void> {
    this.#isRunning = false
    await Promise.all(this.#workers)
    this.#workers = []
  }

  /** All that a writer has sent, by serial from 1. */
  *sentBy({ client, lastSerial }: ClientRecord): Generator<Transfer> {
    const random = this.#random.split(client)
    for (let i = 0; i < lastSerial; i++) yield drawTransfer(random, this.#options.scale)
  }

  async #startWriter(home: number, client: string): Promise<void> {
    const record = this.#tally.addClient(client)
    const session = await this.#openSession(home)
    this.#workers.push(this.#write(record, session, this.#random.split(client)))
  }

  async #startReader(home: number, name: string): Promise<void> {
    const session = await this.#openSession(home)
    await session.prepare(balance, balanceSql)
    this.#workers.push(this.#read(session, this.#random.split(name)))
  }

  async #openSession(home: number): Promise<DemoSession> {
    const session = await this.#cluster.openSession(home)
    this.#sessions.push(session)
    return session
  }

  async #write(record: ClientRecord, session: DemoSession, random: Random): Promise<void> {
    while (this.#isRunning) {
      const serial = record.lastSerial + 1
      const transfer = drawTransfer(random, this.#options.scale)
      const time = new Date().toISOString()
      const statements = transferStatements(transfer, record.client, serial, time)
      const groups = this.#shards.groupsOf([transfer.bid, transfer.accountBid])
      const startedAt = performance.now()
      const result = await session.write(statements, operationTimeoutMs)
      record.lastSerial = serial
      if (result.kind === 'done')
        this.#tally.onWriteAcknowledged(startedAt, performance.now(), groups)
      else this.#noteUnacknowledged(record, serial, result)
    }
  }

  #noteUnacknowledged(
    record: ClientRecord,
    serial: number,
    result: Exclude<CallResult, { readonly kind: 'done' }>
  ): void {
    const hasRoom =
      result.kind === 'indeterminate'
        ? this.#tally.onWriteIndeterminate(record, serial, result.reason)
        : this.#tally.onWriteFailed(record, serial, result.reason)
    if (!hasRoom) this.#isRunning = false
  }

  async #read(session: DemoSession, random: Random): Promise<void> {
    while (this.#isRunning) {
      const { aid, bid } = drawAccount(random, this.#options.scale)
      const result = await session.run(balance, [aid, bid], operationTimeoutMs)
      if (result.kind !== 'done') this.#tally.onReadFailed(result.reason)
      else if (result.results[0]?.rows.length === 1) this.#tally.onReadAnswered()
      else this.#tally.onReadFailed('account not found')
    }
  }
}
