/** Which side of a split goes on. */
import t from 'tap'
import { type NodeId, SplittableRandom, type WallMs } from '../../../../../src/core/index.js'
import { keepMajority } from '../../../../../src/network/membership/partition/keep-majority.js'
import { keepOldest } from '../../../../../src/network/membership/partition/keep-oldest.js'
import { staticQuorum } from '../../../../../src/network/membership/partition/static-quorum.js'
import { splitStrategyOf } from '../../../../../src/network/membership/partition/strategies.js'
import type {
  SplitStrategy,
  SplitView
} from '../../../../../src/network/membership/partition/strategy.js'
import { membershipConfig } from '../swim-world.js'

/** `ab|cde`: the electorate by id, on this side what stands before the bar; ages as given. */
function sideOf(split: string, ages: Readonly<Record<string, number>> = {}): SplitView {
  const [here = '', there = ''] = split.split('|')
  const electorate = [...here, ...there].sort().map((name) => ({
    nodeId: name as NodeId,
    bornAt: (ages[name] ?? name.charCodeAt(0)) as WallMs,
    isReachable: here.includes(name)
  }))
  return { electorate }
}

const decisions = (strategy: SplitStrategy, cases: Readonly<Record<string, string>>): unknown =>
  Object.keys(cases).map((split) => [split, strategy.decide(sideOf(split)).decision])

t.test('keep-majority: more than half, or the half with the lowest id', async (t) => {
  const cases = {
    'abc|de': 'stay',
    'de|abc': 'yield',
    'ab|cd': 'stay',
    'cd|ab': 'yield',
    'bd|ac': 'yield',
    'a|b': 'stay',
    'b|a': 'yield',
    'abc|': 'stay'
  }
  t.same(decisions(keepMajority, cases), Object.entries(cases))
  t.match(keepMajority.decide(sideOf('cd|ab')).reason, /2 of 4 .* without a, the lowest id/)
})

t.test('static-quorum: at least so many, and nobody where that decides nothing', async (t) => {
  const cases = {
    'abc|de': 'stay',
    'ab|cde': 'yield',
    'abcd|e': 'stay',
    'abc|def': 'yield',
    'abcdef|': 'yield'
  }
  t.same(decisions(staticQuorum(3), cases), Object.entries(cases))
})

t.test('keep-oldest: with the oldest, unless it stands alone', async (t) => {
  const cases = {
    'ab|cde': 'stay',
    'cde|ab': 'yield',
    'a|bcde': 'yield',
    'bcde|a': 'stay',
    'a|b': 'stay',
    'b|a': 'yield'
  }
  t.same(decisions(keepOldest, cases), Object.entries(cases))
  t.equal(keepOldest.decide(sideOf('de|abc', { d: 1 })).decision, 'stay', 'age counts, not names')
  t.equal(keepOldest.decide(sideOf('de|abc', { a: 0, d: 0 })).decision, 'yield', 'the lower id')
})

t.test('in a clean split never do both sides go on', async (t) => {
  const random = SplittableRandom.fromSeed(31)
  const names = 'abcdefghijk'
  let nobody = 0
  for (let run = 0; run < 4_000; run++) {
    const all = [...names.slice(0, 2 + random.nextInt(9))]
    const ages = Object.fromEntries(all.map((name) => [name, random.nextInt(5)]))
    const left = all.filter(() => random.nextInt(2) === 0).join('')
    const right = all.filter((name) => !left.includes(name)).join('')
    if (left === '' || right === '') continue
    const size = 1 + random.nextInt(8)
    for (const strategy of [keepMajority, keepOldest, staticQuorum(size)]) {
      const staying = [`${left}|${right}`, `${right}|${left}`].filter(
        (split) => strategy.decide(sideOf(split, ages)).decision === 'stay'
      )
      if (staying.length > 1) return t.fail(`${strategy.name}: ${staying.join(' and ')}`)
      if (staying.length === 0) nobody++
      if (staying.length === 0 && strategy.name !== 'static-quorum') {
        return t.fail(`${strategy.name}: nobody of ${left}|${right}`)
      }
    }
  }
  t.ok(nobody > 0, 'a static quorum may be nowhere')
})

t.test('the configuration names the strategy', async (t) => {
  const named = (splitStrategy: 'off' | 'keep-majority' | 'static-quorum' | 'keep-oldest') =>
    splitStrategyOf(membershipConfig({ splitStrategy, splitQuorumSize: 2 }))?.name ?? null
  t.same(
    [named('off'), named('keep-majority'), named('static-quorum'), named('keep-oldest')],
    [null, 'keep-majority', 'static-quorum', 'keep-oldest']
  )
})
