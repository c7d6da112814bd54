import { type ChildProcess, fork } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { assert, type ClusterEvent } from '../../core/index.js'
import { CliError, ExitCodes, usageError } from '../exit-codes.js'
import type { NodeMessage } from '../node-channel.js'

export interface NodeProcessOptions {
  readonly id: string
  /** The command that is run: `skein` as a file. */
  readonly mainFile: string
  readonly configFile: string
  readonly logFile: string
  readonly dataDirectory: string
  readonly address: string
  /** Base URL of the admin API. */
  readonly admin: string
}

export interface NodeProcessHandlers {
  onEvent(node: NodeProcess, event: ClusterEvent): void
  /** It ended because a rolling restart came to it, and is to be started again. */
  onRestartDue(node: NodeProcess): void
  /** It ended without having been told to. */
  onUnexpectedExit(node: NodeProcess, how: string): void
}

/** Also on a machine that is busy with much else. */
const startTimeoutMs = 60_000
/** A node that has not stopped by then is killed. */
const stopTimeoutMs = 10_000
const logTailLines = 8

/** One `skein node` under supervision; it stops by itself when this process is gone. */
export class NodeProcess {
  readonly options: NodeProcessOptions
  readonly #handlers: NodeProcessHandlers
  #child: ChildProcess | null = null
  #exited: Promise<void> = Promise.resolve()
  #isStopping = false

  constructor(options: NodeProcessOptions, handlers: NodeProcessHandlers) {
    this.options = options
    this.#handlers = handlers
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** It was told to end, and is not to come back. */
  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Resolves when the node serves. */
  async start(): Promise<void> {
    assert(this.#child === null, `${this.options.id} runs`)
    this.#isStopping = false
    const log = openSync(this.options.logFile, 'a', 0o600)
    const { mainFile, configFile } = this.options
    const child = fork(mainFile, ['node', '--supervised', '--config', configFile], {
      stdio: ['ignore', log, log, 'ipc'],
      execArgv: []
    })
    closeSync(log)
    this.#child = child
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()))
    const said = new Promise<NodeMessage>((resolve) => {
      child.on('message', (message: NodeMessage) => this.#onMessage(message, resolve))
      child.once('exit', (code, signal) => {
        this.#onExit(code, signal ?? `status ${code}`)
        resolve({
          type: 'failed',
          code: 'ERR_SKEIN_INTERNAL',
          message: `ended with ${signal ?? `status ${code}`}`
        })
      })
      child.once('error', ({ message }) =>
        resolve({ type: 'failed', code: 'ERR_SKEIN_INTERNAL', message })
      )
    })
    const first = await within(said, startTimeoutMs)
    if (first?.type === 'ready') return
    this.kill()
    await this.#exited
    const reason = first?.type === 'failed' ? first.message : 'did not become ready'
    const message = `node ${this.options.id}: ${reason}\n${await this.#logTail()}`
    const isInUse = first?.type === 'failed' && first.code === 'ERR_SKEIN_LISTEN_FAILED'
    throw isInUse ? usageError(message) : new CliError(message)
  }

  /** SIGKILL: nothing is handed over, flushed or said. */
  kill(): void {
    this.#isStopping = true
    this.#child?.kill('SIGKILL')
  }

  /** Resolves when the process is gone, killed or not. */
  exited(): Promise<void> {
    return this.#exited
  }

  /** SIGTERM, and SIGKILL for one that does not listen. */
  async stop(): Promise<void> {
    if (this.#child === null) return
    this.#isStopping = true
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.kill(), stopTimeoutMs)
    await this.#exited
    clearTimeout(timer)
  }

  #onMessage(message: NodeMessage, onFirst: (message: NodeMessage) => void): void {
    if (message.type === 'event') this.#handlers.onEvent(this, message.event)
    else onFirst(message)
  }

  #onExit(code: number | null, how: string): void {
    this.#child = null
    if (this.#isStopping) return
    if (code === ExitCodes.Restart) this.#handlers.onRestartDue(this)
    else this.#handlers.onUnexpectedExit(this, how)
  }

  async #logTail(): Promise<string> {
    const lines = (await readFile(this.options.logFile, 'utf8')).trimEnd().split('\n')
    return [...lines.slice(-logTailLines), `(all of it: ${this.options.logFile})`].join('\n')
  }
}

async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), timeoutMs)
  })
  const first = await Promise.race([promise, late])
  clearTimeout(timer)
  return first
}
