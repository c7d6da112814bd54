import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { NodeMessage } from '../../src/cli/node-channel.js'
import { assert } from '../../src/core/index.js'
import type { Armed, CrashOrder } from './crash-points/crash-points.js'

export interface TortureNodeOptions {
  readonly id: string
  /** What runs it, anew for each start; `armed`: with a crash point from the beginning. */
  command(armed: Armed | null): readonly [string, readonly string[]]
  readonly logFile: string
  readonly dataDirectory: string
  /** Host and port for other nodes and clients. */
  readonly address: string
  /** Base URL of the admin API. */
  readonly admin: string
  /** It ended, and nobody had asked for it. */
  onCrash(how: string): void
}

const startTimeoutMs = 120_000
/** A node that has not stopped by then is killed. */
const stopTimeoutMs = 30_000
const logTailLines = 12

/** One node process, from start to start. */
export class TortureNode {
  readonly options: TortureNodeOptions
  #child: ChildProcess | null = null
  #exited: Promise<void> = Promise.resolve()
  #isEndExpected = false
  /** A crash point: it may kill itself. */
  #isArmed = false
  #isPaused = false

  constructor(options: TortureNodeOptions) {
    this.options = options
  }

  get isRunning(): boolean {
    return this.#child !== null
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Resolves when it serves. */
  async start(): Promise<void> {
    const { ready, ended } = this.#spawn(null)
    const trouble = await within(Promise.race([ready, ended]), startTimeoutMs)
    if (trouble === null) return
    const isWanted = this.#isEndExpected
    await this.kill()
    if (isWanted) return
    throw new Error(`${this.options.id} does not start: ${trouble}\n${await this.#logTail()}`)
  }

  /** Armed from the beginning. @returns whether it died within the time; it need not serve */
  async startArmed(armed: Armed, timeoutMs: number): Promise<boolean> {
    this.#spawn(armed)
    return this.hasDied(timeoutMs)
  }

  /** Only a node that runs with crash points heeds it; null: none from now on. */
  arm(armed: Armed | null): void {
    const child = this.#child
    if (child === null || !child.connected) return
    // It may be told to live when it has died already.
    this.#isArmed ||= armed !== null
    const order: CrashOrder = { type: 'arm', armed }
    child.send(order, (error) => {
      if (error !== null && this.#child === child) this.options.onCrash(error.message)
    })
  }

  /** Whether it dies within the time, if it runs at all. */
  async hasDied(timeoutMs: number): Promise<boolean> {
    return (
      (await within(
        this.#exited.then(() => null),
        timeoutMs
      )) === null
    )
  }

  /** Nothing is handed over, flushed or said; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#signal('SIGKILL')
    await this.#exited
  }

  /** Leadership is handed over and what is on the way finished. */
  async stop(): Promise<void> {
    this.#signal('SIGTERM')
    const timer = setTimeout(() => this.#signal('SIGKILL'), stopTimeoutMs)
    await this.#exited
    clearTimeout(timer)
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
    this.#isPaused = this.#child !== null
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
    this.#isPaused = false
  }

  #spawn(armed: Armed | null) {
    assert(this.#child === null, `${this.options.id} runs`)
    this.#isEndExpected = false
    this.#isArmed = armed !== null
    this.#isPaused = false
    const log = openSync(this.options.logFile, 'a', 0o600)
    const [file, args] = this.options.command(armed)
    const child = spawn(file, args, { stdio: ['ignore', log, log, 'ipc'] })
    closeSync(log)
    this.#child = child
    const ended = new Promise<string>((resolve) => {
      child.once('error', ({ message }) => resolve(message))
      child.once('exit', (code, signal) => resolve(signal ?? `status ${code}`))
    })
    this.#exited = ended.then((how) => this.#onEnd(how))
    const ready = new Promise<null>((resolve) => {
      child.on('message', ({ type }: NodeMessage) => {
        if (type === 'ready') resolve(null)
      })
    })
    return { ready, ended }
  }

  #signal(signal: 'SIGKILL' | 'SIGTERM'): void {
    this.#isEndExpected = true
    this.#child?.kill(signal)
  }

  #onEnd(how: string): void {
    this.#child = null
    this.#isPaused = false
    const isOwnDeath = this.#isArmed && how === 'SIGKILL'
    if (!this.#isEndExpected && !isOwnDeath) this.options.onCrash(how)
  }

  async #logTail(): Promise<string> {
    const lines = (await readFile(this.options.logFile, 'utf8')).trimEnd().split('\n')
    return lines.slice(-logTailLines).join('\n')
  }
}

/** What it resolves with, or that it took too long. */
async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T | string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`nothing for ${timeoutMs} ms`), timeoutMs)
  })
  const first = await Promise.race([promise, late])
  clearTimeout(timer)
  return first
}
