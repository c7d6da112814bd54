/**
 * Takes nodes out of the groups of a simulated cluster and in again while faults strike, and
 * replaces the disk of one now and then. Whatever became of his calls, in the end every node hosts
 * every group again, which is what he is judged by.
 */
import { pick, type Random } from '../core/index.js'
import { hostName } from './host-name.js'
import { OperatorCalls } from './operator-calls.js'
import type { SimulatedCluster } from './simulated-cluster.js'
import type { MemberOptions } from './swarm-options.js'
import type { Violations } from './violations.js'
import type { VirtualTime } from './virtual-clock.js'

export interface MemberOperatorComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly cluster: () => SimulatedCluster
  readonly violations: Violations
  readonly log: (line: string) => void
}

export interface MemberCounts {
  members_added: number
  members_removed: number
  replicas_replaced: number
  member_changes_failed: number
}

export const noMembers = (): MemberCounts => ({
  members_added: 0,
  members_removed: 0,
  replicas_replaced: 0,
  member_changes_failed: 0
})

/** By the asked node's own word; a node that crashed or stands still is given up a little later. */
const callTimeoutMs = 4_000
const silenceMs = 6_000
const retryMs = 200
/** Fewer voters are not aimed at. */
const votersMin = 3

export class MemberOperator {
  readonly counts = noMembers()
  readonly #components: MemberOperatorComponents
  readonly #options: MemberOptions
  readonly #calls: OperatorCalls
  /** That are, or are to be, in every group. */
  readonly #inside: Set<number>
  /** Of which it is not certain: asked for again before anything else is begun. */
  readonly #unsettled = new Set<number>()
  #isBusy = false
  #isFinishing = false

  constructor(
    components: MemberOperatorComponents,
    options: MemberOptions & { readonly nodes: number }
  ) {
    this.#components = components
    this.#options = options
    this.#calls = new OperatorCalls(components, { name: 'members', silenceMs })
    this.#inside = new Set(
      Array.from({ length: options.founders ?? options.nodes }, (_, host) => host)
    )
  }

  start(): void {
    const { meanIntervalMs } = this.#options
    if (meanIntervalMs === null) return
    this.#calls.every(meanIntervalMs, () => {
      if (!this.#isFinishing && !this.#isBusy) this.#act()
      return !this.#isFinishing
    })
  }

  /** Everybody comes in again. */
  finish(): void {
    this.#isFinishing = true
    if (this.#options.meanIntervalMs !== null) this.#carryOn()
  }

  /** Who does not host every group yet. */
  missing(): string[] {
    if (this.#options.meanIntervalMs === null) return []
    const { size } = this.#components.cluster()
    return Array.from({ length: size }, (_, host) => host)
      .filter((host) => !this.#inside.has(host) || this.#unsettled.has(host))
      .map(hostName)
  }

  #act(): void {
    const { cluster, random } = this.#components
    const { size } = cluster()
    const [unsettled] = this.#unsettled
    if (unsettled !== undefined) {
      this.#change(unsettled)
      return
    }
    const host = random.nextInt(size)
    if (!this.#inside.has(host)) {
      this.#inside.add(host)
      this.#change(host)
    } else if (random.nextFloat() < this.#options.replaceShare) {
      this.#replace(host)
    } else if (this.#inside.size > votersMin) {
      this.#inside.delete(host)
      this.#change(host)
    }
  }

  /** One at a time: what two of three have lost is lost. */
  #replace(host: number): void {
    const { cluster, log } = this.#components
    if (!cluster().isUp(host)) return
    log(`operator: ${hostName(host)} gets another disk`)
    cluster().replaceDisk(host)
    this.counts.replicas_replaced++
    this.#unsettled.add(host)
  }

  #carryOn(): void {
    const { cluster } = this.#components
    for (let host = 0; host < cluster().size; host++) {
      if (this.#inside.has(host)) continue
      this.#inside.add(host)
      this.#unsettled.add(host)
    }
    const [host] = this.#unsettled
    if (host === undefined) return
    if (!this.#isBusy) this.#change(host)
    this.#calls.later(retryMs, () => this.#carryOn())
  }

  /** To what it is to be: as often as it takes. */
  #change(host: number): void {
    const { cluster, log, random } = this.#components
    const nodeId = cluster().nodeIdOf(host)
    const isAdded = this.#inside.has(host)
    this.#unsettled.add(host)
    const nodes = cluster().startedNodes()
    if (nodes.length === 0) return
    this.#isBusy = true
    const what = `${isAdded ? 'adds' : 'removes'} ${nodeId}`
    log(`operator: ${what}`)
    this.#calls.ask(
      pick(random, nodes),
      ({ manager }) =>
        isAdded
          ? manager.addNode(nodeId, { timeoutMs: callTimeoutMs })
          : manager.removeNode({ nodeId }, { timeoutMs: callTimeoutMs }),
      (error) => {
        this.#isBusy = false
        log(`operator: ${what}: ${error === null ? 'done' : error.message}`)
        if (error !== null) {
          this.counts.member_changes_failed++
          return
        }
        // What is wanted may have become the opposite while the call was on its way.
        if (this.#inside.has(host) === isAdded) this.#unsettled.delete(host)
        if (isAdded) this.counts.members_added++
        else this.counts.members_removed++
      }
    )
  }
}
