import {
  checkBankHistory,
  checkCounters,
  checkLinearizability,
  checkListAppend,
  checkSetFull,
  type Operation,
  pairOperations,
  pairTransactions,
  parseHistory,
  registerModel,
  type Transaction
} from '../checkers/index.js'

export interface HistoryVerdict {
  readonly ok: boolean
  readonly verdict: 'accepted' | 'rejected' | 'undecided'
  readonly model: ModelName
  readonly operations: number
  /** Each contradiction, as its checker tells it. */
  readonly findings: readonly unknown[]
}

interface Paired {
  readonly operations: readonly Operation[]
  readonly transactions: readonly Transaction[]
}

type Judge = (history: Paired) => Pick<HistoryVerdict, 'verdict' | 'findings'>

const judged = (findings: readonly unknown[]): ReturnType<Judge> => ({
  verdict: findings.length === 0 ? 'accepted' : 'rejected',
  findings
})

const judges = {
  register({ operations }) {
    const found = checkLinearizability(operations, registerModel)
    if (found.kind === 'unknown') return { verdict: 'undecided', findings: [{ key: found.key }] }
    return judged(found.kind === 'accepted' ? [] : [{ key: found.key, witness: found.witness }])
  },
  'list-append': ({ transactions }) => judged(checkListAppend(transactions).anomalies),
  bank: ({ transactions }) => judged(checkBankHistory(transactions).faults),
  counter: ({ operations }) => judged(checkCounters(operations)),
  set({ operations }) {
    const { ok: _, ...faults } = checkSetFull(operations)
    return judged(
      Object.entries(faults).flatMap(([fault, elements]) =>
        elements.map((element) => ({ fault, element }))
      )
    )
  }
} satisfies Readonly<Record<string, Judge>>
export type ModelName = keyof typeof judges

export const modelNames = Object.keys(judges) as readonly ModelName[]

/**
 * @param prefix operations on other keys are not looked at
 * @throws InvalidArgumentError naming the line and the field that are wrong
 */
export function judgeHistory(text: string, model: ModelName, prefix: string): HistoryVerdict {
  const events = parseHistory(text)
  const operations = pairOperations(events).filter(({ key }) => key.startsWith(prefix))
  const transactions = pairTransactions(events).filter(({ operations: [first] }) =>
    first?.key.startsWith(prefix)
  )
  const judge: Judge = judges[model]
  const { verdict, findings } = judge({ operations, transactions })
  const ok = verdict === 'accepted'
  return { ok, verdict, model, operations: operations.length, findings }
}
