/** What the clients saw: one order explains it, and all that was acknowledged is there. */
import {
  checkLinearizability,
  checkSet,
  type HistoryEvent,
  pairOperations,
  registerModel
} from '../checkers/index.js'
import { Invariants, type Violations } from './violations.js'
import { isSetKey } from './workload.js'

export function judgeHistory(history: readonly HistoryEvent[], violations: Violations): void {
  const verdict = checkLinearizability(pairOperations(history), registerModel)
  if (verdict.kind === 'rejected') {
    const witness = verdict.witness.map((operation) => JSON.stringify(operation)).join('\n  ')
    violations.report(Invariants.Linearizable, `key ${verdict.key}\n  ${witness}`)
  } else if (verdict.kind === 'unknown') {
    violations.report(Invariants.LinearizabilityUnknown, `key ${verdict.key}`)
  }
  for (const [key, detail] of lostElements(history)) {
    violations.report(Invariants.AcknowledgedKept, `key ${key}: ${detail}`)
  }
}

/** Keys that are only appended to: what was acknowledged is in the last read, and nothing twice. */
function lostElements(history: readonly HistoryEvent[]): [string, string][] {
  const operations = pairOperations(history).filter(({ key }) => isSetKey(key))
  const keys = new Set(operations.map(({ key }) => key))
  return [...keys].sort().flatMap((key) => {
    const ofKey = operations.filter((operation) => operation.key === key)
    const appends = ofKey.filter(({ op }) => op === 'append')
    const elementsOf = (value: unknown) =>
      String(value ?? '')
        .split(',')
        .filter((e) => e !== '')
    const known = appends.filter(({ completedAt }) => Number.isFinite(completedAt))
    const reads = ofKey.filter(({ op, completedAt }) => op === 'read' && completedAt < Infinity)
    const last = reads.sort((a, b) => a.invokedAt - b.invokedAt).at(-1)
    const verdict = checkSet({
      acknowledged: known.flatMap(({ input }) => elementsOf(input)),
      indeterminate: appends.flatMap((o) => (known.includes(o) ? [] : elementsOf(o.input))),
      found: elementsOf(last?.output)
    })
    return verdict.ok ? [] : [[key, JSON.stringify(verdict)] satisfies [string, string]]
  })
}
