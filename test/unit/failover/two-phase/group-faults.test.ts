/** A branch that fails, in the section of its group: planned again, told, or given up. */
import t from 'tap'
import type { GroupId, LogIndex, MonotonicMs, Term } from '../../../../src/core/ids.js'
import { silentLogger } from '../../../../src/core/ports/logger.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { transactionIdOf } from '../../../../src/core/transaction-id.js'
import { encodeWork } from '../../../../src/failover/two-phase/branch-work.js'
import {
  type BranchGroup,
  GroupTransactions
} from '../../../../src/failover/two-phase/group-transactions-driver.js'
import { VirtualClock } from '../../../support/virtual-clock.js'

const own = 1 as GroupId
const coordinator = 0 as GroupId
const term = 1 as Term
const id = (n: number) => transactionIdOf(n, [0, n])
const never = new Promise<never>(() => {})
const planned = {
  kind: 'prepared',
  readOnly: false,
  readKeys: [],
  writeKeys: ['x'],
  command: { tag: 'rows', bytes: new Uint8Array(1) },
  results: []
} as const
const failure = { code: 'ERR_SKEIN_SQL_CONSTRAINT', message: 'it is so', statement: 0 }

/** A leader whose engine fails at statements that say so, and logs at once. */
function leading() {
  const clock = new VirtualClock()
  const tried: string[] = []
  let index = 0
  const replica = {
    async proposeSystem(_section, make) {
      const bytes = await make({
        logTime: clock.now(),
        prepare: async ({ statements: [statement] }) => {
          const sql = statement?.sql ?? ''
          tried.push(sql)
          return sql === 'fail' ? { kind: 'failed', failure } : planned
        }
      })
      if (bytes === null) return
      const at = { index: ++index as LogIndex, term, now: clock.now() }
      section.handleApplied(section.apply(bytes, { ...at, isNew: () => true }).answer, at)
    },
    readIndex: async () => index as LogIndex,
    logNow: () => clock.now()
  } as Pick<BranchGroup, 'proposeSystem' | 'readIndex' | 'logNow'> as BranchGroup
  const section: GroupTransactions = new GroupTransactions(
    {
      clock,
      random: SplittableRandom.fromSeed(1),
      logger: silentLogger,
      peers: { prepare: () => never, end: () => never, query: () => never },
      replica: () => replica,
      onEvent: () => {}
    },
    own
  )
  section.handleLeadership(term)
  const prepare = (n: number, sql: string) =>
    section.prepare({
      transaction: id(n),
      epoch: term,
      sequence: n,
      coordinator,
      groups: [coordinator, own],
      data: encodeWork([{ sql }]),
      timeoutMs: 1_000 as MonotonicMs,
      mayDropOut: false
    })
  const commit = (n: number) => section.commit(id(n), term, coordinator, 1 as LogIndex)
  return { clock, tried, prepare, commit }
}

t.test('T-20 a fault is told after the branches that were prepared have ended', async (t) => {
  const { clock, tried, prepare, commit } = leading()
  t.match(await clock.settle(prepare(6, 'change')), { vote: 'yes' })
  const failing = prepare(5, 'fail')
  await clock.advance(500)
  t.same(tried, ['change', 'fail'])
  await clock.settle(commit(6))
  t.match(await clock.settle(failing), { vote: 'no', reason: 'it is so' })
  t.same(tried, ['change', 'fail', 'fail'], 'planned once more')
})

t.test('T-20 a fault that was given up meanwhile is not kept', async (t) => {
  const { clock, tried, prepare, commit } = leading()
  await clock.settle(prepare(6, 'change'))
  t.match(await clock.settle(prepare(5, 'fail')), { vote: 'no', reason: /not free in time/ })
  await clock.settle(commit(6))
  await clock.advance(100)
  t.same(tried, ['change', 'fail'])
})
