/**
 * Keeps a run inside its virtual world:
 *
 * 1. An event may run so many turns of promises, and no more: an endless chain of them would
 *    never let the process go on, so its execution is terminated, which empties the queue of
 *    microtasks.
 * 2. Code of the product that asks the real clock, real chance or a real timer is reported: it
 *    would make the same seed do something else tomorrow.
 * 3. Errors have no stack: a run makes thousands, mostly where a peer is out of reach, and who is
 *    told of one that nobody handled runs the seed again with a trace, which keeps them.
 *
 * Owner's duties: `install` before the first event, `remove` after the last, `beginEvent` before
 * each.
 */
import { Session } from 'node:inspector'
import { promiseHooks } from 'node:v8'

export interface RunGuardOptions {
  /** Turns of promises and microtasks that one event may need. */
  readonly turnsMax: number
  /** Told of each use of the real world; the stack says by whom. */
  readonly onRealWorld: (what: string, stack: string) => void
  /** A person reads along. */
  readonly keepsStacks: boolean
}

type Callable = (...args: unknown[]) => unknown

export class RunGuard {
  readonly #options: RunGuardOptions
  readonly #restore: (() => void)[] = []
  #isActive = false
  #turns = 0

  constructor(options: RunGuardOptions) {
    this.#options = options
  }

  /** The present event was given up. */
  get isExhausted(): boolean {
    return this.#turns >= this.#options.turnsMax
  }

  beginEvent(): void {
    this.#turns = 0
  }

  install(): void {
    this.#isActive = true
    this.#restore.push(promiseHooks.onAfter(() => this.#countTurn()) as () => void)
    if (!this.#options.keepsStacks) this.#dropStacks()
    this.#trap(Date, 'now', 'Date.now')
    this.#trap(Math, 'random', 'Math.random')
    this.#trap(performance, 'now', 'performance.now')
    this.#trap(globalThis, 'setTimeout', 'setTimeout')
    this.#trap(globalThis, 'setInterval', 'setInterval')
    this.#countMicrotasks()
  }

  remove(): void {
    this.#isActive = false
    for (const restore of this.#restore.splice(0).reverse()) restore()
  }

  /** Between two turns, where nothing of the system's own book-keeping is half done. */
  #countTurn(): void {
    this.#turns++
    if (this.#turns === this.#options.turnsMax) terminateExecution()
  }

  #countMicrotasks(): void {
    this.#replace(globalThis, 'queueMicrotask', (original) => (task) => {
      if (!this.#isActive || typeof task !== 'function') return original(task)
      if (this.#turns >= this.#options.turnsMax - 1) {
        this.#turns = this.#options.turnsMax
        return undefined
      }
      this.#turns++
      return original(task)
    })
  }

  #trap(owner: object, name: string, told: string): void {
    this.#replace(owner, name, (original) => (...args) => {
      if (this.#isActive) this.#judge(told)
      return original.apply(owner, args)
    })
  }

  #dropStacks(): void {
    const before = Error.stackTraceLimit
    // Another run in this process has dropped them, and brings them back.
    if (before === 0) return
    Error.stackTraceLimit = 0
    this.#restore.push(() => {
      Error.stackTraceLimit = before
    })
  }

  #judge(told: string): void {
    const before = Error.stackTraceLimit
    Error.stackTraceLimit = judgedFrames
    const stack = new Error(told).stack ?? ''
    Error.stackTraceLimit = before
    if (stack.split('\n').some(isProduct)) this.#options.onRealWorld(told, stack)
  }

  /** Two runs in one process may end in any order: whoever is no longer on top becomes inert. */
  #replace(owner: object, name: string, make: (original: Callable) => Callable): void {
    const holder = owner as Record<string, Callable>
    const original = holder[name] as Callable
    const replacement = Object.assign(make(original), original)
    holder[name] = replacement
    this.#restore.push(() => {
      if (holder[name] === replacement) holder[name] = original
    })
  }
}

/** As many as the platform keeps unless told otherwise. */
const judgedFrames = 10

/** The engine looks for an interrupt at each turn of a loop: it never gets this far. */
const terminationTurnsMax = 1_000_000_000

/** Of a process in which product code is known by its stack: the package is put together. */
export const guardedExecArgv: readonly string[] = ['--enable-source-maps']

/** By path within the package, as compiled or as its source maps say. */
const product = new RegExp(
  '\\b(?:src/(?:core|wire|runtime|network|consensus|health|engine|control|routing|failover|' +
    'service|stream|client|admin)/|lib/(?:cluster-network-manager|composition)\\.)'
)

/** A line of a stack that lies in what is simulated, not in what simulates. */
export const isProduct = (line: string): boolean =>
  product.test(line) && !line.includes('node_modules')

/** Ends here what runs now, and forgets the microtasks; what runs later is not concerned. */
function terminateExecution(): void {
  const session = new Session()
  session.connect()
  session.post('Runtime.terminateExecution')
  session.disconnect()
  for (let left = terminationTurnsMax; left > 0; left--);
}
