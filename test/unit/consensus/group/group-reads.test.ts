/** What rests on a lease here is told only when the lease has outlasted it. */
import t from 'tap'
import {
  GroupReads,
  type GroupReadsComponents
} from '../../../../src/consensus/group/group-reads-driver.js'
import type { LeaseRead } from '../../../../src/consensus/raft/types.js'
import {
  DEFAULT_GROUP,
  type LogIndex,
  type MonotonicMs,
  type Term
} from '../../../../src/core/ids.js'
import { VirtualClock } from '../../../support/virtual-clock.js'

const lease: LeaseRead = { index: 5 as LogIndex, term: 1 as Term }
const deadline = 1_000 as MonotonicMs

/** At a leader whose lease is over by the time that it is looked at, or is not. */
function makeReads(isOver: boolean) {
  const counted: string[] = []
  const rounds: number[] = []
  const applier = { appliedIndex: 9 as LogIndex, engineIndex: 9 as LogIndex }
  const engine = { read: async () => ({ kind: 'read', results: [], index: 9 }) }
  const raft = {
    leaseRead: () => lease,
    confirmLease: () => !isOver,
    status: () => ({ role: 'leader' }),
    requestReadIndex: (round: number) => rounds.push(round)
  }
  const components = {
    clock: new VirtualClock(),
    engine,
    applier,
    raft,
    counters: { add: (name: string) => counted.push(name) },
    rows: null,
    expectServing: () => {},
    onWaiting: () => {}
  }
  const reads = new GroupReads(components as unknown as GroupReadsComponents, {
    group: DEFAULT_GROUP,
    pendingReadsMax: 10
  })
  const confirm = (index: number) =>
    reads.handleReady({
      type: 'ReadReady',
      requestId: rounds.at(-1) ?? 0,
      index: index as LogIndex
    })
  return { reads, rounds, counted, confirm }
}

t.test('R-Q04 another node is told no index under a lease that is over', async (t) => {
  const { reads, rounds, counted, confirm } = makeReads(true)
  const told = reads.confirmedIndex(deadline)
  t.equal(rounds.length, 1, 'a majority is asked')
  confirm(8)
  t.equal(await told, 8)
  t.notOk(counted.includes('lease_reads'))
})

t.test('R-Q04 and is told it at once under one that is not', async (t) => {
  const { reads, rounds, counted } = makeReads(false)
  t.equal(await reads.confirmedIndex(deadline), 5)
  t.same([rounds, counted], [[], ['lease_reads']])
})

t.test('R-Q04 a read that a lease did not outlast is made again', async (t) => {
  const { reads, rounds, counted, confirm } = makeReads(true)
  const told = reads.readLinearizable({ statements: [], atLeastIndex: 0 as LogIndex, deadline })
  for (let turns = 0; turns < 20 && rounds.length === 0; turns++) await null
  t.equal(rounds.length, 1)
  confirm(8)
  await told
  t.same(counted, ['reads', 'lease_reads_withheld', 'read_rounds', 'reads'])
})
