/**
 * What clients saw, as a list of events in the order in which they happened; as text, one JSON
 * object a line. `read` answers the value of its key; `write` and `append` give theirs; `cas`
 * gives `[expected, wanted]`. An event of type
 * - `ok`: it took effect once, between its invocation and this event;
 * - `fail`: it had no effect and never will (a compare that did not match is one of these);
 * - `info`: nobody knows: it takes effect at any later time, or never. The process name is not
 * used again.
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

/**
 * Matches invocations with completions. Operations that failed are left out: they had no effect.
 * Invocations without completion count as `info`.
 *
 * @throws InvalidArgumentError a process overlaps itself, goes on after `info`, or completes
 * nothing
 */
export function pairOperations(events: readonly HistoryEvent[]): Operation[] {
  const open = new Map<string, { event: HistoryEvent; at: number }>()
  const closed = new Set<string>()
  const operations: Operation[] = []
  for (const [at, event] of events.entries()) {
    if (closed.has(event.process)) fault(at, `process ${event.process} goes on after info`)
    const invoked = open.get(event.process)
    if (event.type === 'invoke') {
      if (invoked) fault(at, `process ${event.process} overlaps itself`)
      open.set(event.process, { event, at })
      continue
    }
    if (!invoked) fault(at, `process ${event.process} completes what it never invoked`)
    open.delete(event.process)
    if (event.type === 'info') closed.add(event.process)
    if (event.type !== 'fail') operations.push(operationOf(invoked, event, at))
  }
  for (const invoked of open.values()) operations.push(operationOf(invoked, null, 0))
  return operations.sort((a, b) => a.invokedAt - b.invokedAt)
}

/** @throws InvalidArgumentError with the number of the first bad line */
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
  const { process: by, type, op, key, value } = parsed as Record<string, unknown>
  if (typeof by !== 'string' && typeof by !== 'number') return fault(lineNumber, 'process')
  if (!isOneOf(historyEventTypes, type)) return fault(lineNumber, `type ${type}`)
  if (!isOneOf(operationKinds, op)) return fault(lineNumber, `op ${op}`)
  if (typeof key !== 'string' && typeof key !== 'number') return fault(lineNumber, 'key')
  if (!isHistoryValue(value ?? null)) return fault(lineNumber, 'value')
  return {
    process: String(by),
    type,
    op,
    key: String(key),
    value: (value ?? null) as HistoryValue
  }
}

function operationOf(
  invoked: { event: HistoryEvent; at: number },
  completion: HistoryEvent | null,
  at: number
): Operation {
  const { process, op, key, value } = invoked.event
  const isKnown = completion?.type === 'ok'
  return {
    process,
    op,
    key,
    input: op === 'read' ? null : value,
    output: isKnown ? completion.value : null,
    invokedAt: invoked.at,
    completedAt: isKnown ? at : Number.POSITIVE_INFINITY
  }
}

function isOneOf<T extends string>(words: readonly T[], value: unknown): value is T {
  return (words as readonly unknown[]).includes(value)
}

function isHistoryValue(value: unknown): value is HistoryValue {
  if (Array.isArray(value)) return value.every(isHistoryValue)
  return value === null || typeof value === 'string' || typeof value === 'number'
}

function fault(at: number, reason: string): never {
  throw new InvalidArgumentError('history', `line ${at}: ${reason}`)
}
