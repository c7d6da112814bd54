/**
 * Actions that nodes record in the control group during all faults, and reads of what is recorded.
 * What a node was given to record is there in the end exactly once, in its order, and every read
 * holds whatever an earlier one did.
 */
import { type AuditRecord, pick, type Random, SkeinError } from '../core/index.js'
import type { RunningNode, SimulatedCluster } from './simulated-cluster.js'
import type { SwarmOptions } from './swarm-options.js'
import { Invariants, type Violations } from './violations.js'
import type { SimulatedProcess, VirtualTime } from './virtual-clock.js'

export interface ControlComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly cluster: () => SimulatedCluster
  readonly violations: Violations
}

export interface ControlCounts {
  recorded: number
  reads: number
}

/** Fewer than are kept, so that none has gone when they are counted. */
const actionsMax = 900
const recordsRead = 1_024
const readTimeoutMs = 4_000
const readBackTimeoutMs = 10_000

interface Reading {
  readonly timeoutMs: number
  judge(records: readonly AuditRecord[]): void
  fail(error: SkeinError): void
}

interface Action {
  readonly number: number
  readonly process: SimulatedProcess
}

export class ControlWorkload {
  readonly counts: ControlCounts = { recorded: 0, reads: 0 }
  readonly #components: ControlComponents
  readonly #options: SwarmOptions['control']
  readonly #actions: Action[] = []
  /** The newest record of any read that was answered. */
  #newestSeen = 0
  #openReads = 0
  #isStopped = false

  constructor(components: ControlComponents, options: SwarmOptions['control']) {
    this.#components = components
    this.#options = options
  }

  start(): void {
    if (this.#options.meanIntervalMs !== null) this.#think(this.#options.meanIntervalMs)
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Reads that are under way. */
  get open(): number {
    return this.#openReads
  }

  /**
   * After heal: a node, which writes first what it still has to, tells what is recorded. When all
   * have done so, `isWhole`: nothing may be missing any more.
   */
  readBack(node: RunningNode, isWhole: boolean): void {
    this.#read(node, {
      timeoutMs: readBackTimeoutMs,
      judge: (records) => {
        this.#expectOnce(records)
        if (isWhole) this.#expectWhole(records)
      },
      fail: (error) => this.#report(`${node.process.name} cannot read: ${error.message}`)
    })
  }

  #think(meanMs: number): void {
    const { time, random } = this.#components
    const wait = -meanMs * Math.log(1 - random.nextFloat())
    time.post(time.now + wait, 'control', null, () => {
      if (this.#isStopped) return
      this.#act()
      this.#think(meanMs)
    })
  }

  #act(): void {
    const { random, cluster } = this.#components
    const nodes = cluster().startedNodes()
    if (nodes.length === 0) return
    const node = pick(random, nodes)
    if (random.nextFloat() < this.#options.readShare) {
      const judge = (records: readonly AuditRecord[]) => this.#expectOnce(records)
      this.#read(node, { timeoutMs: readTimeoutMs, judge, fail() {} })
    } else this.#record(node)
  }

  #record({ process, manager }: RunningNode): void {
    const { time } = this.#components
    if (this.#actions.length >= actionsMax) return
    const number = this.#actions.length
    this.#actions.push({ number, process })
    this.counts.recorded++
    time.post(time.now, 'control.record', process, () => {
      const action = `act ${number}`
      manager.control.recordAction({
        principal: process.name,
        role: 'operate',
        address: '',
        action,
        status: 200
      })
    })
  }

  #read({ process, manager }: RunningNode, { timeoutMs, judge, fail }: Reading): void {
    const { time, violations } = this.#components
    this.#openReads++
    let isOpen = true
    const close = () => {
      if (isOpen) this.#openReads--
      isOpen = false
    }
    process.onExit(close)
    time.post(time.now, 'control.read', process, () => {
      const seenBefore = this.#newestSeen
      manager.control.audit(recordsRead, { timeoutMs }).then(
        (records) => {
          close()
          this.counts.reads++
          const newest = records[0]?.sequence ?? 0
          if (newest < seenBefore) {
            this.#report(`${process.name} reads up to ${newest}, after ${seenBefore} was read`)
          }
          this.#newestSeen = Math.max(this.#newestSeen, newest)
          judge(records)
        },
        (error: unknown) => {
          close()
          if (error instanceof SkeinError) fail(error)
          else violations.report(Invariants.Unhandled, String(error))
        }
      )
    })
  }

  /** No action twice, and those of one life of a node in the order in which they were given. */
  #expectOnce(records: readonly AuditRecord[]): void {
    const last = new Map<SimulatedProcess, number>()
    for (const { action, sequence } of [...records].reverse()) {
      const number = Number(action.slice('act '.length))
      const given = this.#actions[number]
      if (given === undefined) {
        this.#report(`record ${sequence} says ${action}, which nobody did`)
        continue
      }
      if ((last.get(given.process) ?? -1) >= number) {
        this.#report(`record ${sequence} says ${action} again, or behind a later one`)
      }
      last.set(given.process, number)
    }
  }

  /** Whoever still runs has recorded all that it was given. */
  #expectWhole(records: readonly AuditRecord[]): void {
    const recorded = new Set(records.map(({ action }) => action))
    for (const { number, process } of this.#actions) {
      if (!process.alive || recorded.has(`act ${number}`)) continue
      this.#report(`${process.name} was given action ${number}, and it is not recorded`)
    }
  }

  #report(detail: string): void {
    this.#components.violations.report(Invariants.ControlRecords, detail)
  }
}
