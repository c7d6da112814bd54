import {
  checkBankHistory,
  checkLinearizability,
  checkListAppend,
  pairOperations,
  pairTransactions,
  registerModel
} from '../../src/checkers/index.js'
import type { Recorder } from './recorder.js'
import type { WorkloadName } from './workloads.js'

export interface Judgement {
  readonly verdict: 'accepted' | 'rejected' | 'undecided'
  /** The first of them. */
  readonly findings: readonly unknown[]
}

const findingsMax = 5

/** What each workload's checker says of its part of the history. */
export function judge(
  recorder: Recorder,
  workloads: readonly WorkloadName[]
): Partial<Record<WorkloadName, Judgement>> {
  const operations = pairOperations(recorder.events)
  const transactions = pairTransactions(recorder.events)
  const withPrefix = (prefix: string) =>
    transactions.filter(({ operations: [first] }) => first?.key.startsWith(prefix))
  const judged: Partial<Record<WorkloadName, Judgement>> = {}
  for (const workload of workloads) {
    switch (workload) {
      case 'register': {
        const ofRegister = operations.filter(({ key }) => key.startsWith('register/'))
        const found = checkLinearizability(ofRegister, registerModel)
        judged[workload] =
          found.kind === 'unknown'
            ? { verdict: 'undecided', findings: [found.key] }
            : judgementOf(found.kind === 'rejected' ? [found] : [])
        break
      }
      case 'list-append':
        judged[workload] = judgementOf(checkListAppend(withPrefix('list/')).anomalies)
        break
      case 'bank':
        judged[workload] = judgementOf(checkBankHistory(withPrefix('bank/')).faults)
        break
    }
  }
  return judged
}

const judgementOf = (findings: readonly unknown[]): Judgement => ({
  verdict: findings.length === 0 ? 'accepted' : 'rejected',
  findings: findings.slice(0, findingsMax)
})
