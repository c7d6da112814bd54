/**
 * Decides whether a history of one object could have come from executing its operations one at a
 * time, each at some instant between invocation and completion.
 *
 * Source: Wing and Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for
 * linearizability" (2017), whose memory of visited (set of executed operations, state) pairs
 * makes the search finish. Histories are split by key first: a map is linearizable when each key
 * is (Herlihy and Wing's locality).
 *
 * 1. Every operation with a known outcome is executed exactly once.
 * 2. An operation without one is executed at most once, any time after its invocation.
 * 3. What has an unknown outcome and an effect that nobody can have seen is not executed: the model
 *    says which, since the search would try it at every place, in every order.
 * 4. `rejected` is a proof, `accepted` too; `unknown` says that the budget of steps was not enough.
 */
import type { Operation } from './history.js'

export interface Model<State> {
  readonly initial: State
  /** The state behind the operation, or undefined when it could not have answered this. */
  step(state: State, operation: Operation): State | undefined
  /** Equal states, and only those, have equal texts. */
  textOf(state: State): string
  /** A model of the same object that knows which states this history cannot pass through. */
  forHistory?(operations: readonly Operation[]): Model<State>
  /**
   * All but operations of unknown outcome of which is certain: if some order with them explains
   * the history, the same order without them does.
   */
  withoutUnseen?(operations: readonly Operation[]): readonly Operation[]
}

export type Verdict =
  | { readonly kind: 'accepted' }
  | {
      readonly kind: 'rejected'
      readonly key: string
      /**
       * Operations that contradict each other, alone: a history that is itself not linearizable.
       */
      readonly witness: readonly Operation[]
    }
  | { readonly kind: 'unknown'; readonly key: string }

export interface LinearizabilityOptions {
  /**
   * Search steps for one key, after which the answer is `unknown`. Higher: harder histories
   * decided.
   */
  readonly stepsMax: number
}

const defaultOptions: LinearizabilityOptions = { stepsMax: 30_000_000 }

export function checkLinearizability<State>(
  operations: readonly Operation[],
  model: Model<State>,
  options: LinearizabilityOptions = defaultOptions
): Verdict {
  let undecided: Verdict | null = null
  for (const [key, ofKey] of byKey(operations)) {
    const outcome = search(ofKey, model, options.stepsMax)
    if (outcome === 'rejected') {
      return { kind: 'rejected', key, witness: shrink(ofKey, model, options.stepsMax) }
    }
    if (outcome === 'unknown') undecided ??= { kind: 'unknown', key }
  }
  return undecided ?? { kind: 'accepted' }
}

type Outcome = 'accepted' | 'rejected' | 'unknown'

/** One end of an operation in the doubly linked list of what is not executed yet. */
interface Entry {
  readonly id: number
  readonly operation: Operation
  /** The call's completion; null on completions, and on calls without one. */
  completion: Entry | null
  readonly isCall: boolean
  previous: Entry | null
  next: Entry | null
}

function search<State>(
  all: readonly Operation[],
  general: Model<State>,
  stepsMax: number
): Outcome {
  const operations = general.withoutUnseen?.(all) ?? all
  const model = general.forHistory?.(operations) ?? general
  const head = listOf(operations)
  let required = operations.filter(isCompleted).length
  const executed = new ExecutedSet(operations.length)
  const visited = new Set<string>()
  const stack: Choice<State>[] = []
  let state = model.initial
  let candidates: readonly Entry[] = candidatesAt(head, state, model)
  let next = 0
  for (let steps = 0; required > 0; steps++) {
    if (steps >= stepsMax) return 'unknown'
    const entry = candidates[next++]
    if (entry === undefined) {
      // Whatever is executed next, some completion comes too early: undo the last choice.
      const last = stack.pop()
      if (last === undefined) return 'rejected'
      const undone = last.candidates[last.next - 1] as Entry
      executed.remove(undone.id)
      if (undone.completion) required++
      unlift(undone)
      state = last.state
      candidates = last.candidates
      next = last.next
      continue
    }
    const after = model.step(state, entry.operation)
    if (after === undefined) continue
    if (!visitFirst(visited, executed, entry.id, model.textOf(after))) continue
    stack.push({ candidates, next, state })
    state = after
    if (entry.completion) required--
    lift(entry)
    candidates = candidatesAt(head, state, model)
    next = 0
  }
  return 'accepted'
}

/** A point of the search: what may be executed there, and what was tried of it. */
interface Choice<State> {
  readonly candidates: readonly Entry[]
  readonly next: number
  readonly state: State
}

/**
 * The calls that were made before anything open completed, those that completed first in front. A
 * read that is possible now may as well be executed now: nothing that comes later becomes
 * impossible by it, so it is the only candidate.
 */
function candidatesAt<State>(head: Entry, state: State, model: Model<State>): Entry[] {
  const candidates: Entry[] = []
  const text = model.textOf(state)
  for (let entry = head.next; entry?.isCall; entry = entry.next) {
    if (entry.completion && entry.operation.op === 'read') {
      const after = model.step(state, entry.operation)
      if (after !== undefined && model.textOf(after) === text) return [entry]
    }
    candidates.push(entry)
  }
  return candidates.sort(byCompletion)
}

const byCompletion = (a: Entry, b: Entry): number =>
  a.operation.completedAt === b.operation.completedAt
    ? a.id - b.id
    : a.operation.completedAt - b.operation.completedAt

/**
 * Executes `id` in the set when the pair of set and state was never seen; otherwise changes
 * nothing.
 */
function visitFirst(
  visited: Set<string>,
  executed: ExecutedSet,
  id: number,
  stateText: string
): boolean {
  executed.add(id)
  const key = `${executed.text()}${stateText}`
  if (visited.has(key)) {
    executed.remove(id)
    return false
  }
  visited.add(key)
  return true
}

/**
 * Ids executed so far. Its text skips the leading full words, so it stays short on long
 * histories.
 */
class ExecutedSet {
  readonly #words: Uint16Array

  constructor(size: number) {
    this.#words = new Uint16Array(Math.ceil(size / 16))
  }

  add(id: number): void {
    this.#words[id >> 4] = (this.#words[id >> 4] as number) | (1 << (id & 15))
  }

  remove(id: number): void {
    this.#words[id >> 4] = (this.#words[id >> 4] as number) & ~(1 << (id & 15))
  }

  text(): string {
    const words = this.#words
    let from = 0
    while (from < words.length && words[from] === 0xffff) from++
    let to = words.length
    while (to > from && words[to - 1] === 0) to--
    let text = `${from}:${to}:`
    for (let i = from; i < to; i++) text += String.fromCharCode(words[i] as number)
    return text
  }
}

/**
 * Ids: completed operations first, by invocation, so that the executed ones are nearly a prefix.
 */
function listOf(operations: readonly Operation[]): Entry {
  const ordered = [...operations.filter(isCompleted), ...operations.filter((o) => !isCompleted(o))]
  const ends: { at: number; entry: Entry }[] = []
  ordered.forEach((operation, id) => {
    const common = { id, operation, previous: null, next: null, completion: null }
    const call: Entry = { ...common, isCall: true }
    ends.push({ at: operation.invokedAt, entry: call })
    if (!isCompleted(operation)) return
    call.completion = { ...common, isCall: false }
    ends.push({ at: operation.completedAt, entry: call.completion })
  })
  ends.sort((a, b) => a.at - b.at)
  const head: Entry = {
    id: -1,
    operation: nothing,
    completion: null,
    isCall: false,
    previous: null,
    next: null
  }
  let last = head
  for (const { entry } of ends) {
    last.next = entry
    entry.previous = last
    last = entry
  }
  return head
}

function lift(call: Entry): void {
  unlink(call)
  if (call.completion) unlink(call.completion)
}

function unlift(call: Entry): void {
  if (call.completion) relink(call.completion)
  relink(call)
}

function unlink(entry: Entry): void {
  if (entry.previous) entry.previous.next = entry.next
  if (entry.next) entry.next.previous = entry.previous
}

function relink(entry: Entry): void {
  if (entry.previous) entry.previous.next = entry
  if (entry.next) entry.next.previous = entry
}

/**
 * The shortest rejected beginning, without the operations that it does not need. Cutting the
 * future off and leaving reads out can only make a history easier to explain, so what remains is
 * still a proof.
 */
function shrink<State>(
  operations: readonly Operation[],
  model: Model<State>,
  stepsMax: number
): Operation[] {
  const isRejected = (some: readonly Operation[]) => search(some, model, stepsMax) === 'rejected'
  const completions = operations
    .filter(isCompleted)
    .map((operation) => operation.completedAt)
    .sort((a, b) => a - b)
  let low = 0
  let high = completions.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (isRejected(cutAt(operations, completions[middle] as number))) high = middle
    else low = middle + 1
  }
  let witness = cutAt(operations, completions[high] as number)
  for (const operation of [...witness]) {
    if (operation.op !== 'read') continue
    const without = witness.filter((other) => other !== operation)
    if (isRejected(without)) witness = without
  }
  return witness
}

/** The history as it stood at `at`: what had not completed by then is of unknown outcome. */
function cutAt(operations: readonly Operation[], at: number): Operation[] {
  return operations
    .filter((operation) => operation.invokedAt <= at)
    .map((operation) =>
      operation.completedAt <= at
        ? operation
        : { ...operation, output: null, completedAt: Number.POSITIVE_INFINITY }
    )
    .filter((operation) => operation.op !== 'read' || isCompleted(operation))
}

const isCompleted = (operation: Operation): boolean => Number.isFinite(operation.completedAt)

function byKey(operations: readonly Operation[]): [string, Operation[]][] {
  const groups = new Map<string, Operation[]>()
  for (const operation of operations) {
    if (operation.op === 'read' && !isCompleted(operation)) continue
    const group = groups.get(operation.key)
    if (group) group.push(operation)
    else groups.set(operation.key, [operation])
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1))
}

const nothing: Operation = {
  process: '',
  op: 'read',
  key: '',
  input: null,
  output: null,
  invokedAt: -1,
  completedAt: -1
}
