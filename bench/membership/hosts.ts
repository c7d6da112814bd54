import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import type { Command, MemberPlace, Told, Usage } from './protocol.js'

const startTimeoutMs = 60_000
const pollMs = 20

/** The processes that hold the members, and everything that they told. */
export class Hosts {
  readonly told: Told[] = []
  readonly places: MemberPlace[] = []
  readonly #children: ChildProcess[] = []
  readonly #hostOf = new Map<string, ChildProcess>()
  #failure: string | null = null

  static async start(members: number, processes: number): Promise<Hosts> {
    const hosts = new Hosts()
    const nodeIds = Array.from({ length: members }, (_, i) => `n${String(i).padStart(3, '0')}`)
    for (let p = 0; p < processes; p++) {
      hosts.#fork(
        nodeIds.filter((_, i) => i % processes === p),
        members
      )
    }
    await hosts.until(() => hosts.places.length === members, startTimeoutMs)
    return hosts
  }

  #fork(nodeIds: readonly string[], all: number): void {
    const { NODE_OPTIONS: _, ...env } = process.env
    const child = fork(new URL('./host.js', import.meta.url), { env, execArgv: [] })
    this.#children.push(child)
    for (const nodeId of nodeIds) this.#hostOf.set(nodeId, child)
    child.on('message', (told: Told) => {
      this.told.push(told)
      if (told.kind === 'started') this.places.push(...told.members)
    })
    child.on('exit', (code) => {
      if (code !== 0) this.#failure = `a process with members ended with ${code}`
    })
    child.send({ kind: 'start', nodeIds, all } satisfies Command)
  }

  sendAll(command: Command): void {
    for (const child of this.#children) child.send(command)
  }

  sendTo(nodeId: string, command: Command): void {
    this.#hostOf.get(nodeId)?.send(command)
  }

  /** Of each process, now. */
  async usage(): Promise<Usage[]> {
    const from = this.told.length
    this.sendAll({ kind: 'usage' })
    const answers = (): Usage[] =>
      this.told.slice(from).flatMap((told) => (told.kind === 'usage' ? [told.usage] : []))
    await this.until(() => answers().length === this.#children.length, startTimeoutMs)
    return answers()
  }

  /** False: it did not hold in time. */
  async until(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    const end = Date.now() + timeoutMs
    while (!holds()) {
      if (this.#failure !== null) throw new Error(this.#failure)
      if (Date.now() >= end) return false
      await delay(pollMs)
    }
    return true
  }

  async stop(): Promise<void> {
    const exits = this.#children.map(
      (child) => new Promise((resolve) => child.once('exit', resolve))
    )
    this.sendAll({ kind: 'stop' })
    await Promise.race([Promise.all(exits), delay(5_000)])
    for (const child of this.#children) child.kill('SIGKILL')
  }
}
