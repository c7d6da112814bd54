import t from 'tap'
import { encodeWith, sectionStateBytesMax } from '../../../../src/control/change-command.js'
import {
  auditActionBytesMax,
  auditEntriesMax,
  auditNameBytesMax,
  auditSection
} from '../../../../src/control/sections/audit.js'
import type { NodeId } from '../../../../src/core/ids.js'
import { SectionRun } from './run-section.js'

const act = (action: string) => ({
  node: 'a' as NodeId,
  principal: 'ops',
  role: 'admin',
  address: '::1',
  action,
  status: 200
})

t.test('records count from 1 in the order of their commit, with the log time', async (t) => {
  const run = new SectionRun(auditSection)
  t.same(run.apply(act('POST /1')), { sequence: 1 })
  t.same(run.apply(act('POST /2')), { sequence: 2 })
  t.match(run.state.entries, [
    { sequence: 1, at: 1_001, action: 'POST /1' },
    { sequence: 2, at: 1_002, action: 'POST /2' }
  ])
})

t.test('the newest are kept, and fit a message when all are as long as they may be', async (t) => {
  let { state } = { state: auditSection.initial() }
  const run = new SectionRun(auditSection)
  const longest = {
    ...act('x'.repeat(auditActionBytesMax)),
    node: 'n'.repeat(63) as NodeId,
    principal: 'p'.repeat(auditNameBytesMax),
    role: 'r'.repeat(auditNameBytesMax),
    address: 'a'.repeat(auditNameBytesMax)
  }
  for (let i = 0; i < auditEntriesMax + 5; i++) {
    state = auditSection.apply(state, longest, run.at).state
  }
  t.equal(state.entries.length, auditEntriesMax)
  t.equal(state.entries[0]?.sequence, 6)
  t.equal(state.sequence, auditEntriesMax + 5)
  t.ok(encodeWith(auditSection.state, state, sectionStateBytesMax).length > 0)
})
