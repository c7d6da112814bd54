/**
 * Actions that nodes record in the control group during all faults, reads of what it holds, and
 * nodes whose software is forgotten, so that they report it again. What a node was given to record
 * is there in the end exactly once, in its order, and every read holds whatever an earlier one did.
 */
import { type AuditRecord, type NodeId, pick, type Random, SkeinError } from '../core/index.js'
import type { SimulatedManager } from './manager.js'
import type { RunningNode, SimulatedCluster } from './simulated-cluster.js'
import type { ControlOptions } from './swarm-options.js'
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
  forgotten: number
}

/** Fewer than are kept, so that none has gone when they are counted. */
const actionsMax = 400
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
  readonly counts: ControlCounts = { recorded: 0, reads: 0, forgotten: 0 }
  readonly #components: ControlComponents
  readonly #options: ControlOptions | null
  readonly #actions: Action[] = []
  /** The newest record of any read that was answered. */
  #newestSeen = 0
  #placementSeen = 0
  #openCalls = 0
  #isStopped = false

  constructor(components: ControlComponents, options: ControlOptions | null) {
    this.#components = components
    this.#options = options
  }

  start(): void {
    const options = this.#options
    if (options === null || options.meanIntervalMs === null) return
    this.#think(options.meanIntervalMs, options.readShare)
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Calls that are under way. */
  get open(): number {
    return this.#openCalls
  }

  /**
   * After heal: a node, which writes first what it still has to, tells what is recorded. When all
   * have done so, `isWhole`: nothing may be missing any more.
   */
  readBack(node: RunningNode, isWhole: boolean): void {
    if (this.#options === null) return
    this.#read(node, {
      timeoutMs: readBackTimeoutMs,
      judge: (records) => {
        this.#expectOnce(records)
        if (isWhole) this.#expectWhole(records)
      },
      fail: (error) => this.#report(`${node.process.name} cannot read: ${error.message}`)
    })
  }

  #think(meanMs: number, readShare: number): void {
    const { time, random } = this.#components
    const wait = -meanMs * Math.log(1 - random.nextFloat())
    time.post(time.now + wait, 'control', null, () => {
      if (this.#isStopped) return
      this.#act(readShare)
      this.#think(meanMs, readShare)
    })
  }

  #act(readShare: number): void {
    const { random, cluster } = this.#components
    const nodes = cluster().startedNodes()
    if (nodes.length === 0) return
    const node = pick(random, nodes)
    const what = random.nextFloat()
    if (what > readShare) {
      this.#record(node)
    } else if (random.nextInt(8) === 0) {
      this.#forget(node, pick(random, cluster().nodeIds()))
    } else if (random.nextInt(3) === 0) {
      this.#readPlacement(node)
    } else {
      const judge = (records: readonly AuditRecord[]) => this.#expectOnce(records)
      this.#read(node, { timeoutMs: readTimeoutMs, judge, fail() {} })
    }
  }

  #forget(node: RunningNode, gone: NodeId): void {
    this.#ask(node, ({ control }) => control.forgetVersion(gone, { timeoutMs: readTimeoutMs }), {
      answered: () => {
        this.counts.forgotten++
      },
      fail() {}
    })
  }

  #readPlacement(node: RunningNode): void {
    const seenBefore = this.#placementSeen
    this.#ask(node, ({ control }) => control.placement({ timeoutMs: readTimeoutMs }), {
      answered: ({ version }) => {
        this.counts.reads++
        if (version < seenBefore) {
          this.#report(`${node.process.name} reads placement ${version}, after ${seenBefore}`)
        }
        this.#placementSeen = Math.max(this.#placementSeen, version)
      },
      fail() {}
    })
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

  #read(node: RunningNode, { timeoutMs, judge, fail }: Reading): void {
    const seenBefore = this.#newestSeen
    this.#ask(node, ({ control }) => control.audit(recordsRead, { timeoutMs }), {
      answered: (records) => {
        this.counts.reads++
        const newest = records[0]?.sequence ?? 0
        if (newest < seenBefore) {
          this.#report(`${node.process.name} reads up to ${newest}, after ${seenBefore} was read`)
        }
        this.#newestSeen = Math.max(this.#newestSeen, newest)
        judge(records)
      },
      fail
    })
  }

  /** In a turn of the node's; nobody hears of it when the node crashes. */
  #ask<T>(
    { process, manager }: RunningNode,
    call: (manager: SimulatedManager) => Promise<T>,
    { answered, fail }: { answered(answer: T): void; fail(error: SkeinError): void }
  ): void {
    const { time, violations } = this.#components
    this.#openCalls++
    let isOpen = true
    const close = () => {
      if (isOpen) this.#openCalls--
      isOpen = false
    }
    process.onExit(close)
    time.post(time.now, 'control.ask', process, () => {
      call(manager).then(
        (answer) => {
          close()
          answered(answer)
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
