/**
 * Virtual time: one heap of events, ordered by time and then by sequence. Nothing happens between
 * two events, and time jumps from one to the next. Every event belongs to a process or to the
 * world:
 *
 * 1. events of a process that has crashed never run;
 * 2. events of a paused process wait, and run in their order when it goes on;
 * 3. `NodeClock` shows a process its own time: a machine's monotonic clock runs at its own rate,
 *    its wall clock has its own offset besides.
 */
import { assert, type Clock, type MonotonicMs, type Timer, type WallMs } from '../core/index.js'
import type { TraceHash } from './trace-hash.js'

/** Killed: the system lives on and closes the sockets. Power: nobody hears anything. */
export const ProcessExits = { Killed: 'killed', Power: 'power' } as const
export type ProcessExit = (typeof ProcessExits)[keyof typeof ProcessExits]

/** One incarnation of a node; a restart makes a new one on the same disk. */
export class SimulatedProcess {
  readonly name: string
  readonly host: number
  readonly incarnation: number
  #alive = true
  paused = false
  readonly waiting: VirtualEvent[] = []
  readonly #onExit: ((exit: ProcessExit) => void)[] = []

  constructor(name: string, host: number, incarnation: number) {
    this.name = name
    this.host = host
    this.incarnation = incarnation
  }

  get alive(): boolean {
    return this.#alive
  }

  /** Runs when the process is gone: what the system that it ran on does about its sockets. */
  onExit(callback: (exit: ProcessExit) => void): void {
    this.#onExit.push(callback)
  }

  /** Nothing of it ever runs again. */
  exit(exit: ProcessExit): void {
    assert(this.#alive, `process ${this.name} exits twice`)
    this.#alive = false
    this.waiting.length = 0
    for (const callback of this.#onExit) callback(exit)
  }
}

export interface VirtualEvent {
  at: number
  sequence: number
  readonly label: string
  /** Null: the world itself. */
  readonly process: SimulatedProcess | null
  run: (() => void) | null
}

/** A date far enough from zero that offsets in either direction stay positive. */
const wallEpochMs = 1_700_000_000_000

export class VirtualTime {
  readonly trace: TraceHash
  #now = 0
  #sequence = 0
  readonly #heap: VirtualEvent[] = []

  constructor(trace: TraceHash) {
    this.trace = trace
  }

  get now(): number {
    return this.#now
  }

  /** Events that wait, cancelled ones included until their time comes. */
  get pending(): number {
    return this.#heap.length
  }

  post(at: number, label: string, process: SimulatedProcess | null, run: () => void): VirtualEvent {
    const event = { at: Math.max(at, this.#now), sequence: this.#sequence++, label, process, run }
    this.#push(event)
    return event
  }

  /** Runs the next event that may run; answers it, or null when none is left before `until`. */
  step(until: number): VirtualEvent | null {
    for (;;) {
      const event = this.#heap[0]
      if (event === undefined || event.at > until) {
        this.#now = Math.max(this.#now, until)
        return null
      }
      this.#pop()
      if (event.run === null || event.process?.alive === false) continue
      if (event.process?.paused) {
        event.process.waiting.push(event)
        continue
      }
      this.#now = event.at
      this.trace.time(event.at)
      this.trace.label(event.label)
      if (event.process) this.trace.number(event.process.host)
      const run = event.run
      event.run = null
      run()
      return event
    }
  }

  pause(process: SimulatedProcess): void {
    process.paused = true
  }

  resume(process: SimulatedProcess): void {
    process.paused = false
    for (const event of process.waiting.splice(0)) {
      event.at = Math.max(event.at, this.#now)
      event.sequence = this.#sequence++
      this.#push(event)
    }
  }

  #push(event: VirtualEvent): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, heap[parent] as VirtualEvent)) break
      heap[at] = heap[parent] as VirtualEvent
      at = parent
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as VirtualEvent
    const length = heap.length
    if (length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= length) break
      if (
        child + 1 < length &&
        isBefore(heap[child + 1] as VirtualEvent, heap[child] as VirtualEvent)
      ) {
        child++
      }
      if (!isBefore(heap[child] as VirtualEvent, last)) break
      heap[at] = heap[child] as VirtualEvent
      at = child
    }
    heap[at] = last
  }
}

function isBefore(a: VirtualEvent, b: VirtualEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence)
}

/** A machine's clocks; they outlive the processes that run on it. */
export class MachineClock {
  readonly #time: VirtualTime
  readonly #bootedMsAgo: number
  #rate = 1
  #localAtChange: number
  #virtualAtChange = 0
  #wallOffsetMs = 0

  constructor(time: VirtualTime, bootedMsAgo: number) {
    this.#time = time
    this.#bootedMsAgo = bootedMsAgo
    this.#localAtChange = bootedMsAgo
  }

  /** The monotonic clock runs `rate` times as fast as the world's from now on. */
  setRate(rate: number): void {
    assert(rate > 0, 'a clock runs forward')
    this.#localAtChange = this.local()
    this.#virtualAtChange = this.#time.now
    this.#rate = rate
  }

  /** The wall clock jumps; may be negative. */
  setWallOffset(ms: number): void {
    this.#wallOffsetMs = ms
  }

  local(): number {
    return this.#localAtChange + (this.#time.now - this.#virtualAtChange) * this.#rate
  }

  toVirtual(local: number): number {
    return this.#virtualAtChange + (local - this.#localAtChange) / this.#rate
  }

  wall(): number {
    return wallEpochMs + this.local() - this.#bootedMsAgo + this.#wallOffsetMs
  }
}

/** The `Clock` port of one process. */
export class NodeClock implements Clock {
  readonly #time: VirtualTime
  readonly #machine: MachineClock
  readonly #process: SimulatedProcess
  #notBefore = 0

  constructor(time: VirtualTime, machine: MachineClock, process: SimulatedProcess) {
    this.#time = time
    this.#machine = machine
    this.#process = process
  }

  now(): MonotonicMs {
    // Converting forth and back may lose the last bit, and a timer must never see a time before
    // its own.
    this.#notBefore = Math.max(this.#notBefore, this.#machine.local())
    return this.#notBefore as MonotonicMs
  }

  wallNow(): WallMs {
    return Math.floor(this.#machine.wall()) as WallMs
  }

  schedule(at: MonotonicMs, callback: () => void): Timer {
    let event: VirtualEvent | null = null
    let cancelled = false
    const arm = () => {
      event = this.#time.post(this.#machine.toVirtual(at), 'timer', this.#process, () => {
        // The clock may have been slowed down meanwhile: then it is not time yet.
        if (this.#machine.local() < at - 1e-6) return arm()
        this.#notBefore = Math.max(this.#notBefore, at)
        if (!cancelled) callback()
      })
    }
    arm()
    return {
      cancel() {
        cancelled = true
        if (event) event.run = null
      }
    }
  }
}
