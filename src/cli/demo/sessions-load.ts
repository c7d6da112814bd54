import { Consistencies, type Random, SkeinError } from '../../core/index.js'
import { balanceStatement, drawAccount, drawTransfer, transferStatements } from './bank.js'
import type { CallResult, ClusterClient, DemoSession } from './cluster-client.js'
import type { ClientRecord, Tally } from './tally.js'

export interface SessionsLoadOptions {
  readonly sessions: number
  readonly scale: number
  /** Tells this run's history rows from earlier ones'. */
  readonly runId: string
  /** Between a session's requests, on average. */
  readonly thinkTimeMs: number
}

/** What one session met. */
export interface SessionRecord {
  readonly history: ClientRecord
  /** Null: not yet. */
  sql: DemoSession | null
  /** Since `beginPart`. */
  answered: number
  errors: number
}

/** Of one transaction or read, with all its attempts; longer than a change of leaders. */
const operationTimeoutMs = 10_000
/** One request in so many is a transfer, the others read a balance. */
const requestsPerTransfer = 3
/** Between the starts of two sessions. */
const rampMs = 50
const pollIntervalMs = 100

/** SQL sessions, each of a client of its own, that think, then transfer money or read a balance. */
export class SessionsLoad {
  readonly sessions: SessionRecord[] = []
  readonly #cluster: ClusterClient
  readonly #tally: Tally
  readonly #random: Random
  readonly #options: SessionsLoadOptions
  readonly #thinking = new Set<() => void>()
  #isStopped = false
  #running: Promise<void>[] = []
  #longestMs = 0

  constructor(
    components: {
      readonly cluster: ClusterClient
      readonly tally: Tally
      readonly random: Random
    },
    options: SessionsLoadOptions
  ) {
    this.#cluster = components.cluster
    this.#tally = components.tally
    this.#random = components.random
    this.#options = options
  }

  /** The longest that a session waited for one answer, since `beginPart`. */
  get longestPauseMs(): number {
    return this.#longestMs
  }

  /** One after the other, so that their connections are not made all at once. */
  start(): void {
    for (let home = 0; home < this.#options.sessions; home++) {
      const history = this.#tally.addClient(`${this.#options.runId}-s${home + 1}`)
      const session: SessionRecord = { history, sql: null, answered: 0, errors: 0 }
      this.sessions.push(session)
      this.#running.push(this.#work(session, home, this.#random.split(history.client)))
    }
  }

  /** What is counted per session is counted from here on. */
  beginPart(): void {
    this.#longestMs = 0
    for (const session of this.sessions) session.answered = 0
  }

  /** Resolves when every session has had an answer since `beginPart`, or the time is up. */
  async untilAllAnswered(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs
    const haveAll = () => this.sessions.every(({ answered }) => answered > 0)
    while (!haveAll() && performance.now() < deadline) await this.#pause(pollIntervalMs)
    return haveAll()
  }

  /** Resolves when every session has its last answer. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const wake of this.#thinking) wake()
    await Promise.all(this.#running)
    this.#running = []
  }

  async #work(session: SessionRecord, home: number, random: Random): Promise<void> {
    await this.#pause(home * rampMs)
    const sql = await this.#open(session, home)
    while (!this.#isStopped && sql !== null) {
      await this.#pause(random.nextInt(2 * this.#options.thinkTimeMs + 1))
      if (this.#isStopped) return
      const startedAt = performance.now()
      const isTransfer = random.nextInt(requestsPerTransfer) === 0
      const result = isTransfer
        ? await this.#transfer(sql, session.history, random)
        : await this.#read(sql, random)
      const now = performance.now()
      this.#longestMs = Math.max(this.#longestMs, now - startedAt)
      if (result.kind !== 'done') session.errors++
      else session.answered++
      if (result.kind === 'done' && isTransfer) this.#tally.onWriteAcknowledged(startedAt, now)
    }
  }

  /** One that is not opened is never answered. */
  async #open(session: SessionRecord, home: number): Promise<DemoSession | null> {
    if (this.#isStopped) return null
    try {
      session.sql = await this.#cluster.openSession(home)
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      session.errors++
      this.#tally.onReadFailed(error.code)
    }
    return session.sql
  }

  async #transfer(sql: DemoSession, record: ClientRecord, random: Random): Promise<CallResult> {
    const serial = record.lastSerial + 1
    const transfer = drawTransfer(random, this.#options.scale)
    const time = new Date().toISOString()
    const statements = transferStatements(transfer, record.client, serial, time)
    const result = await sql.write(statements, operationTimeoutMs)
    record.lastSerial = serial
    if (result.kind === 'indeterminate')
      this.#tally.onWriteIndeterminate(record, serial, result.reason)
    else if (result.kind === 'failed') this.#tally.onWriteFailed(record, serial, result.reason)
    return result
  }

  async #read(sql: DemoSession, random: Random): Promise<CallResult> {
    const statement = balanceStatement(drawAccount(random, this.#options.scale))
    const result = await sql.read(statement, Consistencies.Linearizable, operationTimeoutMs)
    if (result.kind === 'done') this.#tally.onReadAnswered()
    else this.#tally.onReadFailed(result.reason)
    return result
  }

  /** So long, or until the load ends. */
  #pause(ms: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#thinking.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, ms)
      this.#thinking.add(wake)
    })
  }
}
