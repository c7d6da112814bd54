import t from 'tap'
import { runSeeds } from '../../../support/raft/run-seeds.js'
import { someOf } from '../../../support/thoroughness.js'

const seeds = someOf(300, 12)

/** D-03 D-06 D-10 as well. */
t.test(
  'R-E12 R-R03 R-R06 R-R12 R-C02 R-P01 R-P02 R-P05 R-P06 R-P07 R-Q01 R-Q04 R-M06 R-M10 R-S07 R-S10',
  async (t) => {
    const { failure, elections, committed, configurations, faults, leaseReads } = runSeeds(
      seeds,
      6_000
    )
    t.equal(failure, null)
    t.same(Object.keys(faults).sort(), [
      'change',
      'compaction',
      'connectionLost',
      'crash',
      'duplicate',
      'earlyRemoval',
      'halves',
      'install',
      'lateRemoval',
      'lease lost',
      'lease pause',
      'lease restart',
      'lease transfer',
      'loss',
      'oldAnswer',
      'oldTerms',
      'oneWayCut',
      'partition',
      'pause',
      'stall',
      'transfer'
    ])
    t.ok(elections > 4 * seeds, `${elections} elections`)
    t.ok((faults.oldTerms ?? 0) > seeds / 4, `${faults.oldTerms} times entries of old terms`)
    t.ok(configurations > 4 * seeds, `${configurations} pairs of configurations`)
    t.ok((faults.install ?? 0) > seeds, `${faults.install} snapshots taken in`)
    t.ok(leaseReads.told > 5 * seeds, `${leaseReads.told} reads told under leases`)
    t.ok(leaseReads.withheld > seeds / 2, `${leaseReads.withheld} reads withheld`)
    t.ok(committed > 50 * seeds, `${committed} entries committed`)
  }
)
