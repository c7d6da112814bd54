import { type SkeinClient, SkeinError } from '../../lib/client.js'
import { must } from '../../src/core/index.js'

export interface OverwriterOptions {
  readonly rows: number
  readonly rowBytes: number
  readonly writers: number
  readonly timeoutMs: number
}

/**
 * Rows of one size, each with the number of its last writing. Each belongs to one writer, which
 * writes it over again and again, so it is known what must be in it.
 */
export class Overwriter {
  readonly #client: SkeinClient
  readonly #options: OverwriterOptions
  readonly #versions: number[]
  readonly failures: string[] = []
  /** Acknowledged since the load. */
  writes = 0
  #isStopped = false
  #done: Promise<unknown> = Promise.resolve()

  constructor(client: SkeinClient, options: OverwriterOptions) {
    this.#client = client
    this.#options = options
    this.#versions = Array.from({ length: options.rows }, () => 0)
  }

  /** Of each row, as it was acknowledged. */
  get versions(): readonly number[] {
    return this.#versions
  }

  get bytes(): number {
    return this.writes * this.#options.rowBytes
  }

  async load(): Promise<void> {
    await this.#client.query(
      'CREATE TABLE page (id INTEGER PRIMARY KEY, version INTEGER NOT NULL, data BLOB NOT NULL)'
    )
    await this.#each((_, id) => this.#write(id, 0))
  }

  start(): void {
    this.#done = this.#each(async (writer, id) => {
      if (!this.#isStopped) await this.#overwrite(writer, id)
    }, true)
  }

  stop(): Promise<unknown> {
    this.#isStopped = true
    return this.#done
  }

  /** Every writer's own rows in turn; `again`: until stopped. */
  #each(act: (writer: number, id: number) => Promise<void>, again = false): Promise<unknown> {
    const { rows, writers } = this.#options
    const work = async (_: unknown, writer: number) => {
      do {
        for (let id = writer; id < rows; id += writers) await act(writer, id)
      } while (again && !this.#isStopped)
    }
    return Promise.all(Array.from({ length: writers }, work))
  }

  async #overwrite(writer: number, id: number): Promise<void> {
    const version = must(this.#versions[id], 'row') + 1
    try {
      await this.#write(id, version)
      this.#versions[id] = version
      this.writes++
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      this.failures.push(`writer ${writer}, row ${id}: ${error.code} ${error.message}`)
      // What is in the row is not known any more: nothing could be held against it.
      this.#isStopped = true
    }
  }

  async #write(id: number, version: number): Promise<void> {
    const { rowBytes, timeoutMs } = this.#options
    const sql = `INSERT INTO page VALUES (?, ?, ?)
      ON CONFLICT (id) DO UPDATE SET version = excluded.version, data = excluded.data`
    const data = new Uint8Array(rowBytes).fill(version % 256)
    await this.#client.query(sql, [id, version, data], { timeoutMs })
  }
}
