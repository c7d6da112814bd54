import {
  ChangeRefusedError,
  type ClusterTransactions,
  type GroupId,
  type ResolveTransaction,
  type Term,
  type TransactionReport,
  toTransactionId
} from '../../../src/core/index.js'

/** One branch in doubt, in group 2; decided by hand with force, and as was said. */
export class FakeTransactions implements ClusterTransactions {
  readonly asked: ResolveTransaction[] = []
  all: readonly TransactionReport[] = [
    {
      transaction: toTransactionId('0000000003e8-00000000000000ff'),
      group: 2 as GroupId,
      coordinator: 1 as GroupId,
      groups: [1, 2] as GroupId[],
      state: 'prepared',
      outcome: null,
      pending: [],
      mixed: [],
      epoch: 3 as Term,
      ageMs: 1_200,
      lockedRows: 2,
      waiters: [],
      reason: ''
    }
  ]
  /** How the branch stands in truth, whatever was asked; null: as was asked. */
  state: 'prepared' | 'committed' | 'aborted' | null = null

  list() {
    return { inDoubt: 1, transactions: this.all }
  }

  async resolve(_: string, request: ResolveTransaction) {
    this.asked.push(request)
    const { force, outcome } = request
    if (!force && outcome !== 'forget') throw new ChangeRefusedError('say force')
    const asked = outcome === 'commit' ? 'committed' : 'aborted'
    return { state: this.state ?? asked } as const
  }
}
