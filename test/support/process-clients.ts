import { type ConnectOptions, SkeinClient } from '../../lib/client.js'
import type { PeerIdentity, WallMs } from '../../src/core/index.js'
import { issuePeer, type PeerFiles } from '../../src/network/index.js'
import type { ProcessCluster } from './process-cluster.js'

export const processClusterName = 'demo'

/** A certificate of the cluster's own authority. */
export function issue(cluster: ProcessCluster, peer: PeerIdentity): Promise<PeerFiles> {
  const validity = { now: Date.now() as WallMs, days: 30 }
  return issuePeer(cluster.certificates(), { peer }, validity)
}

export const issueClient = (cluster: ProcessCluster, name: string): Promise<PeerFiles> =>
  issue(cluster, { kind: 'client', name, clusterName: processClusterName })

/** Connected through one node, with mutual TLS. */
export function connectTo(
  cluster: ProcessCluster,
  id: string,
  files: Pick<PeerFiles, 'certificateFile' | 'keyFile'>,
  changes: Partial<ConnectOptions> = {}
): Promise<SkeinClient> {
  return SkeinClient.connect({
    addresses: [`localhost:${cluster.port(id)}`],
    clusterName: processClusterName,
    certificateFile: files.certificateFile,
    keyFile: files.keyFile,
    caFile: cluster.workspace.authority.caFile,
    ...changes
  })
}

/**
 * One worker: adds one to its own counter and notes that it did, in one command; then reads the
 * counter. It has one operation at a time, so what it must read is known to the last one.
 */
export class CounterWorker {
  readonly number: number
  readonly faults: string[] = []
  acknowledged = 0
  reads = 0
  slowestMs = 0
  readonly #client: SkeinClient
  readonly #pauseMs: number
  #isStopped = false
  #done: Promise<void> = Promise.resolve()

  constructor(client: SkeinClient, number: number, pauseMs: number) {
    this.#client = client
    this.number = number
    this.#pauseMs = pauseMs
  }

  static readonly schema = [
    'CREATE TABLE counter (worker INTEGER PRIMARY KEY, n INTEGER)',
    'CREATE TABLE mark (worker INTEGER, n INTEGER)'
  ]

  start(): void {
    this.#done = this.#work()
  }

  stop(): Promise<void> {
    this.#isStopped = true
    return this.#done
  }

  async #work(): Promise<void> {
    while (!this.#isStopped) {
      const n = this.acknowledged + 1
      const statements = [
        {
          sql: `INSERT INTO counter VALUES (?, 1) ON CONFLICT (worker) DO UPDATE SET n = n + 1`,
          params: [this.number]
        },
        { sql: 'INSERT INTO mark VALUES (?, ?)', params: [this.number, n] }
      ]
      const isWritten = await this.#timed('write', () => this.#client.execute(statements))
      // What is not known to be executed would make every later read uncertain.
      if (!isWritten) return
      this.acknowledged++
      await this.#timed('read', () => this.#read(n))
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs))
    }
  }

  async #read(expected: number): Promise<void> {
    const sql = 'SELECT n FROM counter WHERE worker = ?'
    const consistency = expected % 2 === 0 ? 'linearizable' : 'local'
    const { rows, node } = await this.#client.query(sql, [this.number], { consistency })
    const found = rows[0]?.[0]
    if (found !== expected)
      throw new Error(`${consistency} read on ${node}: ${found}, not ${expected}`)
    this.reads++
  }

  async #timed(what: string, run: () => Promise<unknown>): Promise<boolean> {
    const begun = performance.now()
    try {
      await run()
      return true
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      const ms = Math.round(performance.now() - begun)
      this.faults.push(`worker ${this.number} ${what} after ${ms} ms: ${code} ${message}`)
      return false
    } finally {
      this.slowestMs = Math.max(this.slowestMs, performance.now() - begun)
    }
  }
}
