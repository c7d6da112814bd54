/**
 * Drains nodes and lets them work again, and moves sessions, while faults strike. Whatever became
 * of his calls, in the end no node drains.
 */
import { type NodeId, pick, type Random } from '../core/index.js'
import { OperatorCalls } from './operator-calls.js'
import type { RunningNode, SimulatedCluster } from './simulated-cluster.js'
import type { PlannedOptions } from './swarm-options.js'
import type { Violations } from './violations.js'
import type { VirtualTime } from './virtual-clock.js'

export interface PlannedOperatorComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly cluster: () => SimulatedCluster
  readonly violations: Violations
  readonly log: (line: string) => void
}

export interface PlannedCounts {
  drains_done: number
  session_moves_asked: number
}

const phase = 1_000
const timeouts = {
  routingTimeoutMs: phase,
  leadersTimeoutMs: phase,
  sessionsTimeoutMs: phase,
  inFlightTimeoutMs: phase
}
const silenceMs = 10_000
const retryMs = 200

export class PlannedOperator {
  readonly counts: PlannedCounts = { drains_done: 0, session_moves_asked: 0 }
  readonly #components: PlannedOperatorComponents
  readonly #options: PlannedOptions
  readonly #calls: OperatorCalls
  /** One at a time, until it is certain that it works again. */
  #drained: NodeId | null = null
  #isFinishing = false

  constructor(components: PlannedOperatorComponents, options: PlannedOptions) {
    this.#components = components
    this.#options = options
    this.#calls = new OperatorCalls(components, { name: 'planned', silenceMs })
  }

  start(): void {
    const { meanIntervalMs } = this.#options
    if (meanIntervalMs === null) return
    this.#calls.every(meanIntervalMs, () => {
      if (!this.#isFinishing) this.#act()
      return !this.#isFinishing
    })
  }

  finish(): void {
    this.#isFinishing = true
    this.#undrain()
  }

  /** Who has to be told still that it works again. */
  get drained(): NodeId | null {
    return this.#drained
  }

  #act(): void {
    const { cluster, random } = this.#components
    const nodes = cluster().startedNodes()
    if (nodes.length === 0) return
    const asked = pick(random, nodes)
    if (random.nextFloat() >= this.#options.drainShare) this.#move(asked)
    else if (this.#drained === null && cluster().size > 1) this.#drain(asked)
  }

  #move(asked: RunningNode): void {
    const { random } = this.#components
    this.counts.session_moves_asked++
    const call = async ({ manager }: RunningNode) => {
      const { sessions } = await manager.sessions.list()
      if (sessions.length > 0) await manager.sessions.move(pick(random, sessions).id)
    }
    this.#ask(asked, 'moves a session', call, () => {})
  }

  #drain(asked: RunningNode): void {
    const { cluster, random } = this.#components
    const node = pick(random, cluster().nodeIds())
    this.#drained = node
    const until = random.nextFloat() * this.#options.drainedMsMax
    const call = ({ manager }: RunningNode) => manager.drain(node, timeouts)
    this.#ask(asked, `drains ${node}`, call, (error) => {
      if (error === null) this.counts.drains_done++
      this.#calls.later(until, () => this.#undrain())
    })
  }

  /** Through any node, as often as it takes; one that has crashed drains no more. */
  #undrain(): void {
    const { cluster, random } = this.#components
    const node = this.#drained
    if (node === null) return
    const nodes = cluster().startedNodes()
    if (nodes.length === 0) {
      this.#calls.later(retryMs, () => this.#undrain())
      return
    }
    const call = ({ manager }: RunningNode) => manager.undrain(node)
    this.#ask(pick(random, nodes), `undrains ${node}`, call, (error) => {
      if (this.#drained !== node) return
      if (error === null) this.#drained = null
      else this.#calls.later(retryMs, () => this.#undrain())
    })
  }

  #ask(
    node: RunningNode,
    what: string,
    call: (node: RunningNode) => Promise<unknown>,
    then: (error: Error | null) => void
  ): void {
    const { log } = this.#components
    log(`operator: ${what}`)
    this.#calls.ask(node, call, (error) => {
      log(`operator: ${what}: ${error === null ? 'done' : error.message}`)
      then(error)
    })
  }
}
