import { Consistencies, type Random } from '../../core/index.js'
import { balanceStatement, drawAccount, drawTransfer, transferStatements } from './bank.js'
import type { ClusterClient } from './cluster-client.js'
import type { ClientRecord, Tally } from './tally.js'

export interface WorkloadOptions {
  readonly nodes: number
  readonly scale: number
  /** Tells this run's history rows from earlier ones'. */
  readonly runId: string
  readonly writersPerNode: number
  readonly readersPerNode: number
}

/** Of one transaction or read, with all its attempts; longer than a change of leaders. */
const operationTimeoutMs = 5_000

/** Workers that transfer money and read balances, shared out among the clients. */
export class Workload {
  readonly #cluster: ClusterClient
  readonly #tally: Tally
  readonly #random: Random
  readonly #options: WorkloadOptions
  #isRunning = false
  #clients: Promise<void>[] = []

  constructor(
    components: {
      readonly cluster: ClusterClient
      readonly tally: Tally
      readonly random: Random
    },
    options: WorkloadOptions
  ) {
    this.#cluster = components.cluster
    this.#tally = components.tally
    this.#random = components.random
    this.#options = options
  }

  start(): void {
    this.#isRunning = true
    const { nodes, writersPerNode, readersPerNode, runId } = this.#options
    for (let home = 0; home < nodes; home++) {
      for (let i = 0; i < writersPerNode; i++) {
        const record = this.#tally.addClient(`${runId}-n${home + 1}-w${i + 1}`)
        this.#clients.push(this.#write(record, home, this.#random.split(record.client)))
      }
      for (let i = 0; i < readersPerNode; i++) {
        this.#clients.push(this.#read(home, this.#random.split(`n${home + 1}-r${i + 1}`)))
      }
    }
  }

  /** Resolves when every client has its last answer. */
  async stop(): Promise<void> {
    this.#isRunning = false
    await Promise.all(this.#clients)
    this.#clients = []
  }

  async #write(record: ClientRecord, home: number, random: Random): Promise<void> {
    const options = { home, timeoutMs: operationTimeoutMs }
    while (this.#isRunning) {
      const serial = record.lastSerial + 1
      const transfer = drawTransfer(random, this.#options.scale)
      const time = new Date().toISOString()
      const statements = transferStatements(transfer, record.client, serial, time)
      const startedAt = performance.now()
      const result = await this.#cluster.write(statements, options)
      record.lastSerial = serial
      if (result.kind === 'done') this.#tally.onWriteAcknowledged(startedAt, performance.now())
      else this.#isRunning &&= this.#noteUnacknowledged(record, serial, result)
    }
  }

  #noteUnacknowledged(
    record: ClientRecord,
    serial: number,
    result: { readonly kind: 'indeterminate' | 'failed'; readonly reason: string }
  ): boolean {
    return result.kind === 'indeterminate'
      ? this.#tally.onWriteIndeterminate(record, serial, result.reason)
      : this.#tally.onWriteFailed(record, serial, result.reason)
  }

  async #read(home: number, random: Random): Promise<void> {
    while (this.#isRunning) {
      const statement = balanceStatement(drawAccount(random, this.#options.scale))
      const options = { home, timeoutMs: operationTimeoutMs }
      const result = await this.#cluster.read(statement, Consistencies.Linearizable, options)
      if (result.kind !== 'done') this.#tally.onReadFailed(result.reason)
      else if (result.results[0]?.rows.length === 1) this.#tally.onReadAnswered()
      else this.#tally.onReadFailed('account not found')
    }
  }
}
