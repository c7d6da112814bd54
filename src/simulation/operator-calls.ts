/**
 * What an operator of a simulated cluster asks nodes for, one by one. A node that crashes, or is
 * silent for too long, is given up; an error that is none of the product's own is a violation.
 */
import { hasCode, type Random, SkeinError } from '../core/index.js'
import { Unanswered } from './doubtful.js'
import type { RunningNode } from './simulated-cluster.js'
import { Invariants, type Violations } from './violations.js'
import type { VirtualTime } from './virtual-clock.js'

export interface OperatorCallsComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly violations: Violations
}

export interface OperatorCallsOptions {
  /** Of its events, in a trace. */
  readonly name: string
  readonly silenceMs: number
}

export class OperatorCalls {
  readonly #components: OperatorCallsComponents
  readonly #options: OperatorCallsOptions

  constructor(components: OperatorCallsComponents, options: OperatorCallsOptions) {
    this.#components = components
    this.#options = options
  }

  /** In a turn of the node's; null: it was done. */
  ask(
    node: RunningNode,
    call: (node: RunningNode) => Promise<unknown>,
    then: (error: Error | null) => void
  ): void {
    const { time, violations } = this.#components
    let isOpen = true
    const settle = (error: Error | null) => {
      if (!isOpen) return
      isOpen = false
      then(error)
    }
    this.later(this.#options.silenceMs, () => settle(new Unanswered('no answer')))
    node.process.onExit(() => settle(new Unanswered('the node crashed')))
    time.post(time.now, this.#options.name, node.process, () => {
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

  later(ms: number, run: () => void): void {
    const { time } = this.#components
    time.post(time.now + ms, this.#options.name, null, run)
  }

  /** Again and again, so long after one another in the mean, until it answers false. */
  every(meanMs: number, act: () => boolean): void {
    const wait = -meanMs * Math.log(1 - this.#components.random.nextFloat())
    this.later(wait, () => {
      if (act()) this.every(meanMs, act)
    })
  }
}
