/**
 * What clients saw, as a list of events in the order in which they happened; as text, one JSON
 * object a line. `read` answers the value of its key; `write` and `append` give theirs; `cas`
 * gives `[expected, wanted]`. An event of type
 * - `ok`: it took effect once, between its invocation and this event;
 * - `fail`: it had no effect and never will (a compare that did not match is one of these);
 * - `info`: nobody knows: it takes effect at any later time, or never. The process name is not
 * used again.
 *
 * Lines that name the same `tx` are one transaction, its operations in the order of their
 * invocations; each has a process of its own, so that a reader who knows no transactions sees
 * operations that run at the same time.
 */
import { InvalidArgumentError } from '../core/errors.js'

export type HistoryValue = string | number | null | readonly HistoryValue[]

export const operationKinds = ['read', 'write', 'cas', 'append'] as const
export type OperationKind = (typeof operationKinds)[number]

export const historyEventTypes = ['invoke', 'ok', 'fail', 'info'] as const
export type HistoryEventType = (typeof historyEventTypes)[number]

export interface HistoryEvent {
  readonly process: string
  readonly type: HistoryEventType
  readonly op: OperationKind
  readonly key: string
  readonly value: HistoryValue
  /** The transaction that it is a part of; alone otherwise. */
  readonly tx?: string
  /** What a failure was told as, for who reads the history; no checker looks at it. */
  readonly code?: string
}

/** An invocation with its completion; positions are those of the events in the history. */
export interface Operation {
  readonly process: string
  readonly op: OperationKind
  readonly key: string
  /** What was asked; a read's is null. */
  readonly input: HistoryValue
  /** What was answered; null unless completed. */
  readonly output: HistoryValue
  readonly invokedAt: number
  /** Infinite when its outcome is unknown. */
  readonly completedAt: number
}

/** An invocation, and how it ended. */
export interface Pair {
  readonly invocation: HistoryEvent
  readonly invokedAt: number
  /** Null: the history ends before it does. */
  readonly completion: HistoryEvent | null
  /** Of the completion; infinite without one. */
  readonly endedAt: number
}

/**
 * Matches invocations with completions, in the order of the invocations.
 *
 * @throws InvalidArgumentError a process overlaps itself, goes on after `info`, or completes
 * nothing, or something else
 */
export function pairEvents(events: readonly HistoryEvent[]): Pair[] {
  const open = new Map<string, { event: HistoryEvent; at: number }>()
  const closed = new Set<string>()
  const pairs: Pair[] = []
  for (const [at, event] of events.entries()) {
    const line = at + 1
    if (closed.has(event.process)) fault(line, `process: ${event.process} goes on after info`)
    const invoked = open.get(event.process)
    if (event.type === 'invoke') {
      if (invoked) fault(line, `process: ${event.process} overlaps itself`)
      open.set(event.process, { event, at })
      continue
    }
    if (!invoked) fault(line, `process: ${event.process} completes what it never invoked`)
    for (const field of ['op', 'key', 'tx'] as const) {
      if (event[field] !== invoked.event[field]) {
        fault(line, `${field}: not the one of the invocation in line ${invoked.at + 1}`)
      }
    }
    open.delete(event.process)
    if (event.type === 'info') closed.add(event.process)
    const { event: invocation, at: invokedAt } = invoked
    pairs.push({ invocation, invokedAt, completion: event, endedAt: at })
  }
  for (const { event: invocation, at: invokedAt } of open.values()) {
    const endedAt = Number.POSITIVE_INFINITY
    pairs.push({ invocation, invokedAt, completion: null, endedAt })
  }
  return pairs.sort((a, b) => a.invokedAt - b.invokedAt)
}

/**
 * Operations that failed are left out: they had no effect. Invocations without completion count as
 * `info`.
 *
 * @throws InvalidArgumentError as `pairEvents` does
 */
export const pairOperations = (events: readonly HistoryEvent[]): Operation[] =>
  pairEvents(events)
    .filter(({ completion }) => completion?.type !== 'fail')
    .map(operationOf)

/** @throws InvalidArgumentError with the number and the field of the first bad line */
export function parseHistory(text: string): HistoryEvent[] {
  const lines = text.split('\n')
  return lines.flatMap((line, at) => (line.trim() === '' ? [] : [parseEvent(line, at + 1)]))
}

export const formatHistory = (events: readonly HistoryEvent[]): string =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('')

function parseEvent(line: string, lineNumber: number): HistoryEvent {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    return fault(lineNumber, 'is not JSON')
  }
  if (typeof parsed !== 'object' || parsed === null) return fault(lineNumber, 'is no object')
  const { process: by, type, op, key, value, tx, code } = parsed as Record<string, unknown>
  if (!isName(by)) return fault(lineNumber, 'process: must be a string or a number')
  if (!isOneOf(historyEventTypes, type)) return mustBeOneOf(lineNumber, 'type', historyEventTypes)
  if (!isOneOf(operationKinds, op)) return mustBeOneOf(lineNumber, 'op', operationKinds)
  if (!isName(key)) return fault(lineNumber, 'key: must be a string or a number')
  if (!isHistoryValue(value ?? null)) {
    return fault(lineNumber, 'value: must be null, a string, a number or a list of these')
  }
  if (tx !== undefined && !isName(tx)) {
    return fault(lineNumber, 'tx: must be a string or a number, or be missing')
  }
  if (code !== undefined && typeof code !== 'string') {
    return fault(lineNumber, 'code: must be a string, or be missing')
  }
  return {
    process: String(by),
    type,
    op,
    key: String(key),
    value: (value ?? null) as HistoryValue,
    ...(tx === undefined ? {} : { tx: String(tx) }),
    ...(code === undefined ? {} : { code })
  }
}

function operationOf({ invocation, invokedAt, completion, endedAt }: Pair): Operation {
  const { process, op, key, value } = invocation
  const isKnown = completion?.type === 'ok'
  return {
    process,
    op,
    key,
    input: op === 'read' ? null : value,
    output: isKnown ? completion.value : null,
    invokedAt,
    completedAt: isKnown ? endedAt : Number.POSITIVE_INFINITY
  }
}

const isName = (value: unknown): value is string | number =>
  typeof value === 'string' || typeof value === 'number'

const mustBeOneOf = (line: number, field: string, words: readonly string[]): never =>
  fault(line, `${field}: must be one of ${words.join(', ')}`)

function isOneOf<T extends string>(words: readonly T[], value: unknown): value is T {
  return (words as readonly unknown[]).includes(value)
}

function isHistoryValue(value: unknown): value is HistoryValue {
  if (Array.isArray(value)) return value.every(isHistoryValue)
  return value === null || typeof value === 'string' || typeof value === 'number'
}

function fault(line: number, reason: string): never {
  throw new InvalidArgumentError('history', `line ${line}: ${reason}`)
}
