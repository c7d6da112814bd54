import type { MemberChangeReport } from '../../src/core/index.js'
import { type ProcessCluster, pause } from '../support/process-cluster.js'

const arrivesWithinMs = 1_800_000
const addTimeoutMs = 60_000
const askTimeoutMs = 5_000
const pollMs = 10

/** The node that comes in, and whoever kills it on its way. */
export class Newcomer {
  readonly #cluster: ProcessCluster
  readonly #id: string
  readonly #founders: readonly string[]
  readonly #tell: (line: string) => void
  interruptions = 0
  installed = 0
  installedBytes = 0
  /** Received by a life before, and not sent again, in all lives. */
  resumedBytes = 0
  /** Of the newest snapshot that a founder has taken. */
  #sizeBytes = 0
  /** Of this life, as last seen. */
  #resumed = 0
  #votes = false

  constructor(
    cluster: ProcessCluster,
    nodes: { readonly id: string; readonly founders: readonly string[] },
    tell: (line: string) => void
  ) {
    this.#cluster = cluster
    this.#id = nodes.id
    this.#founders = nodes.founders
    this.#tell = tell
    cluster.onEvent((node, event) => {
      if (event.type === 'SnapshotTaken' && event.group === 0) this.#sizeBytes = event.sizeBytes
      if (event.type !== 'SnapshotInstalled' || node !== nodes.id) return
      this.installed++
      this.installedBytes += event.sizeBytes
      tell(`a snapshot of ${event.sizeBytes} bytes is taken in, up to ${event.index}`)
    })
  }

  /**
   * Resolves when it votes, and has what was committed when that was asked. The last interruption
   * comes with some way to go, so that it does not come too late.
   */
  async comeIn(interruptions: number): Promise<void> {
    const adding = this.#add()
    for (let number = 1; number <= interruptions; number++) {
      await this.#interrupt(number / (interruptions + 2))
    }
    await adding
    if (!(await this.#cluster.supervisor.untilCaughtUp(this.#id, arrivesWithinMs))) {
      throw new Error('the newcomer does not catch up')
    }
    await this.#countResumed()
  }

  /** What the founders, who all live on, have sent of snapshots. */
  async bytesSent(): Promise<number> {
    const metrics = await Promise.all(this.#founders.map((id) => this.#cluster.metrics(id)))
    return metrics.reduce((sum, { consensus }) => sum + (consensus?.snapshot_bytes_sent ?? 0), 0)
  }

  /** The call ends when the node dies; then it is made again. */
  async #add(): Promise<void> {
    const admin = this.#cluster.admin(this.#founders[0] ?? '')
    const path = `/v1/members?timeoutMs=${addTimeoutMs}`
    while (!this.#votes) {
      const outcome = await admin.post(path, { nodeId: this.#id }, addTimeoutMs + askTimeoutMs)
      if (outcome.kind !== 'answer') {
        await pause(askTimeoutMs / 10)
        continue
      }
      const { groups } = outcome.body as MemberChangeReport
      this.#votes = groups.every(({ voters }) => voters.includes(this.#id as never))
    }
  }

  /** When it has this share of the snapshot that it is being sent. */
  async #interrupt(share: number): Promise<void> {
    while (!(await this.#hasReceived(share))) {
      if (this.#votes) return
      await pause(pollMs)
    }
    const before = this.installed
    this.resumedBytes += this.#resumed
    this.#resumed = 0
    await this.#cluster.kill(this.#id)
    if (this.installed > before) this.#tell('killed too late: the snapshot had arrived')
    else this.interruptions++
    this.#tell(`killed with ${Math.round(100 * share)} % of ${this.#sizeBytes} bytes`)
    await this.#cluster.node(this.#id).start()
  }

  async #hasReceived(share: number): Promise<boolean> {
    const metrics = await this.#cluster.supervisor.metricsOf(this.#id)
    const { snapshot_bytes_received: received = 0, snapshot_bytes_resumed: resumed = 0 } =
      metrics?.consensus ?? {}
    this.#resumed = resumed
    return this.#sizeBytes > 0 && received + resumed >= share * this.#sizeBytes
  }

  async #countResumed(): Promise<void> {
    await this.#hasReceived(1)
    this.resumedBytes += this.#resumed
    this.#resumed = 0
  }
}
