/**
 * Judges sets that only grow, element by element and over the whole history.
 *
 * Source: `set-full` of Jepsen. An element is known from the moment at which its append was
 * acknowledged or a read that saw it ended; every read that begins later has to see it.
 */
import { InvalidArgumentError } from '../core/errors.js'
import { compareText } from '../core/ids.js'
import type { Operation } from './history.js'

export interface SetFullVerdict {
  readonly ok: boolean
  /** Known, and in none of the reads that began after the last one that had it. */
  readonly lost: readonly string[]
  /** Known, absent from a read that began then, and there again later. */
  readonly stale: readonly string[]
  /** Acknowledged, and no read began afterwards. */
  readonly unread: readonly string[]
  /** Found, and never appended, or by an append that failed. */
  readonly unexpected: readonly string[]
  /** Twice in one read. */
  readonly duplicated: readonly string[]
}

interface SetRead {
  readonly invokedAt: number
  readonly completedAt: number
  readonly elements: ReadonlySet<string>
}

/**
 * Elements are told as `key/element`.
 *
 * @throws InvalidArgumentError a read answers no list
 */
export function checkSetFull(operations: readonly Operation[]): SetFullVerdict {
  const found = {
    lost: new Set<string>(),
    stale: new Set<string>(),
    unread: new Set<string>(),
    unexpected: new Set<string>(),
    duplicated: new Set<string>()
  }
  const keys = new Set(operations.map(({ key }) => key))
  for (const key of keys) {
    const ofKey = operations.filter((operation) => operation.key === key)
    judgeKey(ofKey, (fault, element) => found[fault].add(`${key}/${element}`))
  }
  const sorted = (names: ReadonlySet<string>) => [...names].sort(compareText)
  return {
    ok: Object.values(found).every((names) => names.size === 0),
    lost: sorted(found.lost),
    stale: sorted(found.stale),
    unread: sorted(found.unread),
    unexpected: sorted(found.unexpected),
    duplicated: sorted(found.duplicated)
  }
}

type Fault = 'lost' | 'stale' | 'unread' | 'unexpected' | 'duplicated'
type Report = (fault: Fault, element: string) => void

function judgeKey(operations: readonly Operation[], report: Report): void {
  const reads = operations
    .filter(({ op, completedAt }) => op === 'read' && Number.isFinite(completedAt))
    .map((operation) => readOf(operation, report))
    .sort((a, b) => a.invokedAt - b.invokedAt)
  const knownAt = new Map<string, number>()
  for (const { op, input, completedAt } of operations) {
    if (op === 'append') knownAt.set(String(input), completedAt)
  }
  const added = new Set(knownAt.keys())
  for (const { elements, completedAt } of reads) {
    for (const element of elements) {
      if (!added.has(element)) report('unexpected', element)
      knownAt.set(element, Math.min(knownAt.get(element) ?? completedAt, completedAt))
    }
  }
  for (const [element, at] of knownAt) {
    if (Number.isFinite(at)) judgeElement(element, reads, { at, report })
  }
}

function judgeElement(
  element: string,
  reads: readonly SetRead[],
  { at, report }: { readonly at: number; readonly report: Report }
): void {
  const later = reads.filter(({ invokedAt }) => invokedAt > at)
  const lastAbsent = later.findLast(({ elements }) => !elements.has(element))
  const lastPresent = reads.findLast(({ elements }) => elements.has(element))
  if (lastAbsent !== undefined) {
    const isBack = (lastPresent?.invokedAt ?? -1) > lastAbsent.invokedAt
    report(isBack ? 'stale' : 'lost', element)
  } else if (later.length === 0 && lastPresent === undefined) {
    report('unread', element)
  }
}

function readOf({ output, invokedAt, completedAt }: Operation, report: Report): SetRead {
  if (output !== null && !Array.isArray(output)) {
    throw new InvalidArgumentError('history', 'value: a read of a set answers no list')
  }
  const elements = new Set<string>()
  for (const value of output ?? []) {
    const element = typeof value === 'string' ? value : JSON.stringify(value)
    if (elements.has(element)) report('duplicated', element)
    elements.add(element)
  }
  return { invokedAt, completedAt, elements }
}
