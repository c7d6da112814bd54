import { InvalidArgumentError } from '../core/errors.js'
import {
  type HistoryEvent,
  type HistoryValue,
  type OperationKind,
  type Pair,
  pairEvents
} from './history.js'

export interface TransactionOperation {
  readonly op: OperationKind
  readonly key: string
  /** What was asked; a read's is null. */
  readonly input: HistoryValue
  /** What was answered; null unless the transaction is `ok`. */
  readonly output: HistoryValue
}

/** Operations that took effect at one instant, all or none. */
export interface Transaction {
  /** As the history has it; an operation alone is called by its line. */
  readonly name: string
  /** Of its first operation. */
  readonly process: string
  readonly outcome: 'ok' | 'fail' | 'info'
  readonly operations: readonly TransactionOperation[]
  readonly invokedAt: number
  /** Infinite unless `ok`. */
  readonly completedAt: number
}

/**
 * Every transaction of a history, those that failed too, in the order of their invocations.
 *
 * @throws InvalidArgumentError as `pairEvents` does; the operations of a transaction did not end
 * alike, or one began after another had ended
 */
export function pairTransactions(events: readonly HistoryEvent[]): Transaction[] {
  const grouped = new Map<string, Pair[]>()
  const alone: Pair[] = []
  for (const pair of pairEvents(events)) {
    const { tx } = pair.invocation
    const group = tx === undefined ? undefined : grouped.get(tx)
    if (tx === undefined) alone.push(pair)
    else if (group === undefined) grouped.set(tx, [pair])
    else {
      expectUnended(group, pair, tx)
      group.push(pair)
    }
  }
  const named = [...grouped].map(([name, pairs]) => transactionOf(name, pairs))
  const single = alone.map((pair) => transactionOf(`line ${pair.invokedAt + 1}`, [pair]))
  return [...named, ...single].sort((a, b) => a.invokedAt - b.invokedAt)
}

function expectUnended(group: readonly Pair[], { invokedAt }: Pair, name: string): void {
  if (group.every(({ endedAt }) => endedAt > invokedAt)) return
  const reason = `line ${invokedAt + 1}: tx: ${name} has ended before`
  throw new InvalidArgumentError('history', reason)
}

function transactionOf(name: string, pairs: readonly Pair[]): Transaction {
  const outcomes = new Set(pairs.map(({ completion }) => completion?.type ?? 'info'))
  const [outcome = 'info'] = outcomes
  if (outcomes.size > 1) {
    const reason = `tx: ${name} ended as ${[...outcomes].join(' and as ')}`
    throw new InvalidArgumentError('history', reason)
  }
  const isKnown = outcome === 'ok'
  return {
    name,
    process: pairs[0]?.invocation.process ?? '',
    outcome: outcome === 'invoke' ? 'info' : outcome,
    operations: pairs.map(({ invocation: { op, key, value }, completion }) => ({
      op,
      key,
      input: op === 'read' ? null : value,
      output: isKnown ? (completion?.value ?? null) : null
    })),
    invokedAt: Math.min(...pairs.map(({ invokedAt }) => invokedAt)),
    completedAt: isKnown
      ? Math.max(...pairs.map(({ endedAt }) => endedAt))
      : Number.POSITIVE_INFINITY
  }
}
