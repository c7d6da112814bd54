/**
 * Drains nodes and lets them work again, and moves sessions, while faults strike. Whatever became
 * of his calls, in the end no node drains.
 */
import { hasCode, type NodeId, pick, type Random, SkeinError } from '../core/index.js'
import { Unanswered } from './doubtful.js'
import type { RunningNode, SimulatedCluster } from './simulated-cluster.js'
import type { PlannedOptions } from './swarm-options.js'
import { Invariants, type Violations } from './violations.js'
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
  /** One at a time, until it is certain that it works again. */
  #drained: NodeId | null = null
  #isFinishing = false

  constructor(components: PlannedOperatorComponents, options: PlannedOptions) {
    this.#components = components
    this.#options = options
  }

  start(): void {
    if (this.#options.meanIntervalMs !== null) this.#think(this.#options.meanIntervalMs)
  }

  finish(): void {
    this.#isFinishing = true
    this.#undrain()
  }

  /** Who has to be told still that it works again. */
  get drained(): NodeId | null {
    return this.#drained
  }

  #think(meanMs: number): void {
    const wait = -meanMs * Math.log(1 - this.#components.random.nextFloat())
    this.#later(wait, () => {
      if (this.#isFinishing) return
      this.#act()
      this.#think(meanMs)
    })
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
      this.#later(until, () => this.#undrain())
    })
  }

  /** Through any node, as often as it takes; one that has crashed drains no more. */
  #undrain(): void {
    const { cluster, random } = this.#components
    const node = this.#drained
    if (node === null) return
    const nodes = cluster().startedNodes()
    if (nodes.length === 0) {
      this.#later(retryMs, () => this.#undrain())
      return
    }
    const call = ({ manager }: RunningNode) => manager.undrain(node)
    this.#ask(pick(random, nodes), `undrains ${node}`, call, (error) => {
      if (this.#drained !== node) return
      if (error === null) this.#drained = null
      else this.#later(retryMs, () => this.#undrain())
    })
  }

  #ask(
    node: RunningNode,
    what: string,
    call: (node: RunningNode) => Promise<unknown>,
    then: (error: Error | null) => void
  ): void {
    const { time, violations, log } = this.#components
    let isOpen = true
    const settle = (error: Error | null) => {
      if (!isOpen) return
      isOpen = false
      log(`operator: ${what}: ${error === null ? 'done' : error.message}`)
      then(error)
    }
    log(`operator: ${what}`)
    this.#later(silenceMs, () => settle(new Unanswered('no answer')))
    node.process.onExit(() => settle(new Unanswered('the node crashed')))
    time.post(time.now, 'planned', node.process, () => {
      call(node).then(
        () => settle(null),
        (error: Error) => {
          const isOurs = error instanceof SkeinError && !hasCode(error, 'ERR_SKEIN_INTERNAL')
          if (!isOurs) violations.report(Invariants.Unhandled, error.stack ?? error.message)
          settle(error)
        }
      )
    })
  }

  #later(ms: number, run: () => void): void {
    const { time } = this.#components
    time.post(time.now + ms, 'planned', null, run)
  }
}
