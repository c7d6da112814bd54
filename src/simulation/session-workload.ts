/**
 * SQL sessions of programs outside, one each at a time: appends to a list of its own, reads of it
 * from whichever replica answers, statements that were prepared, settings. Wherever the session's
 * home goes, by a move or because it was lost, it sees what it was told, and has what it has set.
 */
import {
  type ErrorCode,
  type GroupId,
  hasCode,
  pick,
  type Random,
  SkeinError
} from '../core/index.js'
import { isDoubtful } from './doubtful.js'
import type { OutsideClient, SimulatedSession } from './outside-client.js'
import type { SessionOptions } from './swarm-options.js'
import { Invariants, type Violations } from './violations.js'
import type { VirtualTime } from './virtual-clock.js'

export interface SessionWorkloadComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly outside: () => readonly OutsideClient[]
  readonly groups: number
  readonly violations: Violations
}

export interface SessionCounts {
  sessions_used: number
  session_requests_ok: number
}

const timeoutMs = 5_000
/** A session asks its home to define or close for as long as its client's own timeout. */
const silenceMs = 45_000
const retryMs = 200
const listName = 'list'

export class SessionWorkload {
  readonly counts: SessionCounts = {
    sessions_used: 0,
    session_requests_ok: 0
  }
  readonly #components: SessionWorkloadComponents
  readonly #options: SessionOptions | null
  readonly #programs: Program[] = []

  constructor(components: SessionWorkloadComponents, options: SessionOptions | null) {
    this.#components = components
    this.#options = options
  }

  start(): void {
    if (this.#options === null) return
    for (const [number, client] of this.#components.outside().entries()) {
      const random = this.#components.random.split(`session ${number}`)
      const group = (number % this.#components.groups) as GroupId
      const parts = { ...this.#components, ...this.#options, random, group, client, number }
      const program = new Program(parts, this.counts)
      this.#programs.push(program)
      program.start()
    }
  }

  stop(): void {
    for (const program of this.#programs) program.stop()
  }

  /** Requests under way. */
  get open(): number {
    return this.#programs.filter(({ isBusy }) => isBusy).length
  }

  /** Each that is open reads once more. */
  readAll(): void {
    for (const program of this.#programs) program.readLast()
  }
}

interface ProgramParts extends SessionWorkloadComponents, SessionOptions {
  readonly group: GroupId
  readonly client: OutsideClient
  readonly number: number
}

class Program {
  isBusy = false
  readonly #parts: ProgramParts
  readonly #counts: SessionCounts
  #session: SimulatedSession | null = null
  #settings: Record<string, string> = {}
  #isPrepared = false
  #sessions = 0
  #elements = 0
  /** Of the list of the present session: what must be in it, and what may. */
  readonly #told = new Set<string>()
  readonly #doubtful = new Set<string>()
  #hasAppended = false
  #isStopped = false

  constructor(parts: ProgramParts, counts: SessionCounts) {
    this.#parts = parts
    this.#counts = counts
  }

  start(): void {
    this.#think()
  }

  stop(): void {
    this.#isStopped = true
  }

  readLast(): void {
    const session = this.#session
    if (session === null) return
    this.#run(
      () => this.#read(session, 'linearizable'),
      (error) => {
        if (error !== null)
          this.#parts.time.post(this.#parts.time.now + retryMs, 'session', null, () =>
            this.readLast()
          )
      }
    )
  }

  #think(): void {
    const { time, random, thinkMsMean } = this.#parts
    const wait = -thinkMsMean * Math.log(1 - random.nextFloat())
    time.post(time.now + wait, 'session', null, () => {
      if (this.#isStopped) return
      this.#run(this.#next(), () => this.#lookBack())
    })
  }

  /** At once after an append, before every replica has heard of it. */
  #lookBack(): void {
    const session = this.#session
    const hasAppended = this.#hasAppended
    this.#hasAppended = false
    const { random, lookBackShare } = this.#parts
    const looksBack = hasAppended && random.nextFloat() < lookBackShare
    if (session === null || this.#isStopped || !looksBack) this.#think()
    else {
      this.#run(
        () => this.#read(session, 'local'),
        () => this.#think()
      )
    }
  }

  #next(): () => Promise<void> {
    const session = this.#session
    if (session === null) return () => this.#opened()
    const what = this.#parts.random.nextInt(100)
    if (what < 35) return () => this.#append(session)
    if (what < 70) return () => this.#read(session, what < 60 ? 'local' : 'linearizable')
    if (what < 85) return () => this.#prepared(session)
    if (what < 97) return () => this.#set(session)
    return () => this.#close(session)
  }

  async #opened(): Promise<void> {
    const settings = { priority: 'normal' }
    const session = await this.#parts.client.openSession(settings, timeoutMs)
    this.#session = session
    this.#settings = settings
    this.#isPrepared = false
    this.#sessions++
    this.#elements = 0
    this.#told.clear()
    this.#doubtful.clear()
    this.#counts.sessions_used++
  }

  async #append(session: SimulatedSession): Promise<void> {
    const element = `x${++this.#elements}`
    this.#doubtful.add(element)
    try {
      await session.query(
        `append ${this.#key} ,${element}`,
        undefined,
        this.#options('linearizable')
      )
      this.#told.add(element)
      this.#hasAppended = true
    } catch (error) {
      // Whoever does not say so has not done it, and never will.
      if (!isDoubtful(error as Error)) this.#doubtful.delete(element)
      throw error
    }
  }

  async #read(session: SimulatedSession, consistency: 'local' | 'linearizable'): Promise<void> {
    const sql = `get ${this.#key}`
    this.#judge(consistency, (await session.query(sql, undefined, this.#options(consistency))).rows)
  }

  async #prepared(session: SimulatedSession): Promise<void> {
    if (!this.#isPrepared) {
      await session.prepare(listName, `get ${this.#key}`)
      this.#isPrepared = true
    }
    const { rows } = await session.run(listName, undefined, this.#options('local'))
    this.#judge('prepared', rows)
  }

  async #set(session: SimulatedSession): Promise<void> {
    const value = pick(this.#parts.random, ['critical', 'high', 'normal', 'low'])
    const before = this.#settings
    try {
      this.#settings = { priority: value }
      await session.set('priority', value)
    } catch (error) {
      // It may be set: either is right from now on.
      this.#settings = session.settings.priority === value ? this.#settings : before
      throw error
    }
  }

  async #close(session: SimulatedSession): Promise<void> {
    this.#session = null
    try {
      await session.close()
    } catch (error) {
      // Its answer was lost, and it was asked again.
      if (!hasCode(error, ended)) throw error
    }
  }

  #judge(how: string, rows: readonly (readonly unknown[])[]): void {
    const list = String(rows[0]?.[0] ?? '')
    const found = list.split(',').filter((element) => element !== '')
    const missing = [...this.#told].filter((element) => !found.includes(element))
    const foreign = found.filter((element) => !this.#doubtful.has(element))
    const isTwice = new Set(found).size < found.length
    if (missing.length === 0 && foreign.length === 0 && !isTwice) return
    this.#report(`${how} read ${list}; told ${[...this.#told].join(',')}`)
  }

  #report(detail: string): void {
    const { client, violations } = this.#parts
    const session = this.#session?.id ?? 'none'
    violations.report(Invariants.SessionKept, `${client.process.name}, ${session}: ${detail}`)
  }

  /** In a turn of the client's. */
  #run(act: () => Promise<void>, then: (error: Error | null) => void): void {
    const { time, client, violations } = this.#parts
    this.isBusy = true
    let isOpen = true
    time.post(time.now + silenceMs, 'session', null, () => {
      if (isOpen)
        violations.report(Invariants.Liveness, `${client.process.name}: no answer to a session`)
    })
    const settle = (error: Error | null) => {
      isOpen = false
      this.isBusy = false
      if (error === null) this.#counts.session_requests_ok++
      else this.#expectForgivable(error)
      then(error)
    }
    time.post(time.now, 'session', client.process, () => {
      act().then(() => settle(null), settle)
    })
  }

  /** Trouble may last longer than a request may take; a session is not lost by it. */
  #expectForgivable(error: Error): void {
    const isForgivable =
      error instanceof SkeinError &&
      (error.retryable || isDoubtful(error) || forgivable.some((code) => hasCode(error, code)))
    if (!isForgivable) this.#report(error.stack ?? error.message)
  }

  get #key(): string {
    return `session-${this.#parts.number}-${this.#sessions}`
  }

  #options(consistency: 'local' | 'linearizable') {
    return { consistency, group: this.#parts.group, timeoutMs }
  }
}

const ended: ErrorCode = 'ERR_SKEIN_SESSION_ENDED'
const forgivable: readonly ErrorCode[] = ['ERR_SKEIN_TIMEOUT', 'ERR_SKEIN_NOT_STARTED']
