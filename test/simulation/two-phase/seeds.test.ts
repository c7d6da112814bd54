/**
 * T-14 and all invariants: a bank over several groups, faults of every kind by seed, then peace.
 */
import t from 'tap'
import { someOf } from '../../support/thoroughness.js'
import { runSeeds } from '../../support/two-phase/run-seeds.js'

const seeds = someOf(80, 27)
const faultsMs = 4_000

t.test(`T-14 ${seeds} seeds keep every sum, and nothing is in doubt after the heal`, async (t) => {
  const { failure, counts, commits, sums } = runSeeds(seeds, faultsMs)
  t.equal(failure, null, failure === null ? '' : `seed ${failure.seed}: ${failure.reason}`)
  t.ok(commits > 15 * seeds, `${commits} commits`)
  t.ok(sums > seeds / 2, `${sums} sums read`)
  for (const what of [
    'crashes',
    'depositions',
    'cuts',
    'aborted',
    'unknown',
    'query',
    'plain writes',
    'plain writes that waited',
    'linearizable reads'
  ]) {
    t.ok((counts[what] ?? 0) > 0, `${what}: ${counts[what] ?? 0}`)
  }
})
