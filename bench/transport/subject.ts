import { type ChildProcess, fork } from 'node:child_process'
import type { TlsFiles } from '../../src/runtime/index.js'
import type { ClientSample, CostedSample, Task } from './load.js'

const startTimeoutMs = 20_000
/** Beyond its time a sample may take so long; then it has stalled. */
const stallMs = 8_000
const stopTimeoutMs = 2_000
const program = new URL('./process-main.js', import.meta.url)

export interface SubjectFiles {
  readonly server: TlsFiles
  readonly client: TlsFiles
}

/** A subject's two processes; the client is started anew where it stalled. */
export class SubjectProcesses {
  readonly name: string
  readonly #files: SubjectFiles
  #server: ChildProcess | null = null
  #client: ChildProcess | null = null

  constructor(name: string, files: SubjectFiles) {
    this.name = name
    this.#files = files
  }

  /** @throws Error it stalled, or ended; it is started anew for the next sample */
  async measure(task: Task): Promise<CostedSample> {
    const { client, server } = await this.#running()
    try {
      const before = await cpuMsOf(server)
      client.send(task)
      const { cpuMs, ...sample } = await messageOf<ClientSample>(client, task.ms + stallMs)
      const spentMs = cpuMs + (await cpuMsOf(server)) - before
      return { ...sample, cpuUs: (spentMs * 1_000) / sample.count }
    } catch (error) {
      this.stop()
      throw error
    }
  }

  stop(): void {
    stop(this.#client)
    stop(this.#server)
    this.#client = null
    this.#server = null
  }

  async #running(): Promise<{ client: ChildProcess; server: ChildProcess }> {
    if (this.#client !== null && this.#server !== null) {
      return { client: this.#client, server: this.#server }
    }
    this.#server = start('server', this.name, this.#files.server, [])
    const { port } = await messageOf<{ port: number }>(this.#server, startTimeoutMs)
    this.#client = start('client', this.name, this.#files.client, [String(port)])
    await messageOf(this.#client, startTimeoutMs)
    return { client: this.#client, server: this.#server }
  }
}

function cpuMsOf(server: ChildProcess): Promise<number> {
  server.send({})
  return messageOf<number>(server, startTimeoutMs)
}

/** It ends when its channel does; one that stands still is killed. */
function stop(child: ChildProcess | null): void {
  if (child === null || child.exitCode !== null || !child.connected) return
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
  child.once('exit', () => clearTimeout(timer))
  child.disconnect()
}

function start(role: string, name: string, files: TlsFiles, rest: string[]): ChildProcess {
  const { NODE_OPTIONS: _, ...env } = process.env
  const execArgv = (process.env.BENCH_EXEC_ARGV ?? '').split(' ').filter((one) => one !== '')
  const args = [role, name, files.certificateFile, files.keyFile, files.caFile, ...rest]
  return fork(program, args, { env, execArgv })
}

/** @throws Error it stalled, or ended */
function messageOf<T>(child: ChildProcess, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      clearTimeout(timer)
      child.off('message', onMessage)
      child.off('exit', onExit)
      act()
    }
    const onMessage = (message: unknown) => settle(() => resolve(message as T))
    const onExit = () => settle(() => reject(new Error('ended')))
    const timer = setTimeout(() => settle(() => reject(new Error('stalled'))), ms)
    child.on('message', onMessage)
    child.on('exit', onExit)
  })
}
