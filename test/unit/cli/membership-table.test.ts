import t from 'tap'
import { type MembershipRow, simulateMembership } from '../../../lib/testing.js'
import { membershipTable } from '../../../src/cli/membership-table.js'

t.test(
  'S-01 the variants beside the published figures, sizes beside formulas and aims',
  async (t) => {
    const { rows } = simulateMembership({
      nodes: 8,
      seed: 1,
      seconds: 10,
      sizes: [8],
      onProgress: () => {}
    })
    const lines = membershipTable(rows)
    t.match(lines[0], /variant .*false deaths .*% of SWIM .*published/)
    t.match(lines[1], /^SWIM +\d+ +(100|-) +100 /)
    t.match(lines[2], /^LHA-Probe .* 67\.72 .* 32\.88 .* 98\.46 .* 90\.03$/)
    t.match(lines[5], /^Lifeguard .* 1\.53 .* 1\.89 .* 110\.59 .* 97\.97$/)
    t.match(lines[7], /^everything .* - +\d.* - +\d.* -$/)
    t.match(lines[9], /known to all ms .*aim .*datagrams\/s .*formula/)
    t.match(lines[10], /^8 members +40 /)
    for (const table of [lines.slice(0, 8), lines.slice(9)]) {
      t.equal(new Set(table.map(({ length }) => length)).size, 1, 'columns stand below one another')
    }
    t.equal(membershipTable([] as MembershipRow[]).length, 3)
  }
)
