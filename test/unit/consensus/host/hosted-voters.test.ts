import t from 'tap'
import { HostedVoters } from '../../../../src/consensus/host/hosted-voters.js'
import type { GroupId, NodeId } from '../../../../src/core/ids.js'

const group = (id: number) => id as GroupId
const nodes = (names: string) => names.split('') as NodeId[]

t.test('voters of all groups, each once, in the order of their names', async (t) => {
  const hosted = new HostedVoters()
  t.same(hosted.voters, [])
  t.equal(hosted.note(group(0), nodes('cab')), true)
  t.equal(hosted.note(group(1), nodes('abc')), false, 'nobody who is not known')
  t.equal(hosted.note(group(2), nodes('bcd')), true)
  t.same(hosted.voters, nodes('abcd'))
})

t.test('who votes in no group any more is gone, not who left one of several', async (t) => {
  const hosted = new HostedVoters()
  hosted.note(group(0), nodes('abc'))
  hosted.note(group(1), nodes('abc'))
  t.equal(hosted.note(group(0), nodes('abd')), true, 'd is new')
  t.same(hosted.voters, nodes('abcd'))
  t.equal(hosted.note(group(1), nodes('abd')), true, 'c is gone')
  t.same(hosted.voters, nodes('abd'))
  t.equal(hosted.note(group(1), nodes('dab')), false)
})
