import fc from 'fast-check'
import t from 'tap'
import { quorumSize, quorumValue, tallyVotes } from '../../../../src/consensus/raft/quorum.js'
import { replica } from '../../../support/raft/raft-table.js'

const ids = [0, 1, 2, 3, 4, 5, 6].map((i) => replica(`n${i}`))

/** The largest value that at least a majority has, found by trying each. */
function slowQuorumValue(values: readonly number[]): number {
  const reached = values.filter((v) => values.filter((w) => w >= v).length > values.length / 2)
  return Math.max(0, ...reached)
}

t.test('R-C01 the majority value is that of a brute-force count', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 7 }), (values) => {
      const voters = ids.slice(0, values.length)
      const value = quorumValue(voters, (voter) => values[ids.indexOf(voter)] ?? 0)
      return value === slowQuorumValue(values)
    }),
    { numRuns: 5_000, seed: 1 }
  )
  t.equal(
    quorumValue([], () => 5),
    0
  )
})

t.test('R-E06 a ballot is won at exactly a majority, sizes 1 to 7', async (t) => {
  const majorities = [1, 2, 2, 3, 3, 4, 4]
  for (const [i, majority] of majorities.entries()) {
    const voters = ids.slice(0, i + 1)
    t.equal(quorumSize(voters.length), majority)
    const grants = (count: number) => new Map(voters.slice(0, count).map((id) => [id, true]))
    t.equal(tallyVotes(voters, grants(majority)), 'won')
    t.equal(tallyVotes(voters, grants(majority - 1)), 'pending')
  }
})

t.test('a ballot agrees with counting every completion of it', async (t) => {
  const answer = fc.constantFrom(true, false, null)
  fc.assert(
    fc.property(fc.array(answer, { minLength: 1, maxLength: 7 }), (answers) => {
      const voters = ids.slice(0, answers.length)
      const known = new Map<(typeof ids)[number], boolean>()
      for (const [i, given] of answers.entries()) {
        if (given !== null) known.set(voters[i] as (typeof ids)[number], given)
      }
      known.set(replica('stranger'), true)
      const yes = answers.filter((given) => given === true).length
      const open = answers.filter((given) => given === null).length
      const wins = yes > answers.length / 2
      const mayWin = yes + open > answers.length / 2
      return tallyVotes(voters, known) === (wins ? 'won' : mayWin ? 'pending' : 'lost')
    }),
    { numRuns: 5_000, seed: 2 }
  )
  t.equal(tallyVotes(ids, new Map()), 'pending')
})
