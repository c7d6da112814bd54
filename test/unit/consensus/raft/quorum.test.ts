import fc from 'fast-check'
import t from 'tap'
import {
  type Electorate,
  quorumSize,
  quorumValue,
  tallyVotes
} from '../../../../src/consensus/raft/quorum.js'
import type { ReplicaId } from '../../../../src/core/index.js'
import { replica } from '../../../support/raft/raft-table.js'

const ids = [0, 1, 2, 3, 4, 5, 6].map((i) => replica(`n${i}`))

const simple = (voters: readonly ReplicaId[]): Electorate => ({ voters, votersOutgoing: [] })

const someIds = (minLength: number) => fc.subarray(ids, { minLength })

/** Simple and joint ones. */
const electorates = fc
  .tuple(someIds(1), fc.oneof(fc.constant<ReplicaId[]>([]), someIds(1)))
  .map(([voters, votersOutgoing]) => ({ voters, votersOutgoing }))

const isMost = (count: number, of: readonly unknown[]): boolean => count > of.length / 2

const halvesOf = ({ voters, votersOutgoing }: Electorate) =>
  [voters, votersOutgoing].filter((half) => half.length > 0)

/** The largest value that at least a majority of each half has, found by trying each. */
function slowQuorumValue(electorate: Electorate, values: readonly number[]): number {
  const reachedBy = (id: ReplicaId) => values[ids.indexOf(id)] ?? 0
  const isReached = (value: number) =>
    halvesOf(electorate).every((half) =>
      isMost(half.filter((id) => reachedBy(id) >= value).length, half)
    )
  return Math.max(0, ...values.filter(isReached))
}

t.test('R-C01 the majority value is that of a brute-force count', async (t) => {
  const values = fc.array(fc.nat(9), { minLength: ids.length, maxLength: ids.length })
  fc.assert(
    fc.property(electorates, values, (electorate, values) => {
      const value = quorumValue(electorate, (voter) => values[ids.indexOf(voter)] ?? 0)
      return value === slowQuorumValue(electorate, values)
    }),
    { numRuns: 5_000, seed: 1 }
  )
  t.equal(
    quorumValue(simple([]), () => 5),
    0
  )
})

t.test('R-C01 a joint configuration has reached what both of its halves have', async () => {
  fc.assert(
    fc.property(someIds(1), someIds(1), fc.func(fc.nat(9)), (voters, votersOutgoing, reachedBy) => {
      const reached = (half: readonly ReplicaId[]) => quorumValue(simple(half), reachedBy)
      const joint = quorumValue({ voters, votersOutgoing }, reachedBy)
      return joint === Math.min(reached(voters), reached(votersOutgoing))
    }),
    { numRuns: 1_000, seed: 3 }
  )
})

t.test('R-E06 a ballot is won at exactly a majority, sizes 1 to 7', async (t) => {
  const majorities = [1, 2, 2, 3, 3, 4, 4]
  for (const [i, majority] of majorities.entries()) {
    const voters = ids.slice(0, i + 1)
    t.equal(quorumSize(voters.length), majority)
    const grants = (count: number) => new Map(voters.slice(0, count).map((id) => [id, true]))
    t.equal(tallyVotes(simple(voters), grants(majority)), 'won')
    t.equal(tallyVotes(simple(voters), grants(majority - 1)), 'pending')
  }
})

t.test('R-M03 a ballot agrees with counting every completion of it', async (t) => {
  const answer = fc.constantFrom(true, false, null)
  const answers = fc.array(answer, { minLength: ids.length, maxLength: ids.length })
  fc.assert(
    fc.property(electorates, answers, (electorate, answers) => {
      const known = new Map<ReplicaId, boolean>()
      for (const [i, given] of answers.entries()) {
        if (given !== null) known.set(ids[i] as ReplicaId, given)
      }
      known.set(replica('stranger'), true)
      const isWonIf = (open: boolean) =>
        halvesOf(electorate).every((half) =>
          isMost(half.filter((id) => known.get(id) ?? open).length, half)
        )
      const expected = isWonIf(false) ? 'won' : isWonIf(true) ? 'pending' : 'lost'
      return tallyVotes(electorate, known) === expected
    }),
    { numRuns: 5_000, seed: 2 }
  )
  t.equal(tallyVotes(simple(ids), new Map()), 'pending')
})
