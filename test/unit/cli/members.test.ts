import t, { type Test } from 'tap'
import { createAdminServer } from '../../../lib/admin.js'
import { membersCommand, renderChange } from '../../../src/cli/members-command.js'
import {
  type GroupId,
  MemberChangeFailedError,
  type MemberChangeReport,
  type NodeId,
  silentLogger
} from '../../../src/core/index.js'
import { skein } from '../../support/run-skein.js'
import { FakeManager } from '../admin/fake-manager.js'

async function serve(t: Test) {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: [],
    logger: silentLogger,
    eventSubscribersMax: 2
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  return { manager, url: `http://${address}` }
}

const report: MemberChangeReport = {
  nodeId: 'd' as NodeId,
  change: 'add',
  dryRun: true,
  groups: [
    {
      group: 3 as GroupId,
      outcome: 'planned',
      votersBefore: ['a', 'b'] as NodeId[],
      voters: ['a', 'b', 'd'] as NodeId[],
      failuresToleratedBefore: 0,
      failuresTolerated: 1,
      quorumSurvives: false,
      warnings: ['no quorum\u001b[31m']
    }
  ]
}

t.test('members are added, removed, and a dry run is asked for', async (t) => {
  const { manager, url } = await serve(t)
  const added = await skein('members', 'add', 'c', '--dry-run', '--admin', url)
  t.match(added, { status: 0, stdout: /^c would be added\n\ngroup +outcome +voters before/ })
  t.match(added.stdout, /\n0 +planned +a b +a b c +0 → 1 +yes\n/)
  const removed = await skein('members', '--admin', url, 'remove', 'c', '--json')
  t.match(JSON.parse(removed.stdout), { nodeId: 'c', change: 'remove', dryRun: false })
  const both = ['--admin', 'http://127.0.0.1:1', 'add', 'c', '--admin', url]
  t.match(await skein('members', ...both), { status: 0, stdout: /^c is added/ })
  t.match(manager.asked, [
    { call: 'addNode', options: { dryRun: true, timeoutMs: 120_000 } },
    { call: 'removeNode', options: { dryRun: false, timeoutMs: 120_000 } },
    { call: 'addNode', options: { dryRun: false, timeoutMs: 120_000 } }
  ])
})

t.test('what went wrong is said, and what to do', async (t) => {
  const { manager, url } = await serve(t)
  manager.error = new MemberChangeFailedError('the members stay as they are: bring b back')
  t.match(await skein('members', 'add', 'c', '--admin', url), {
    status: 1,
    stderr: /MEMBER_CHANGE_FAILED: the members stay as they are: bring b back; nothing was done/
  })
  t.match(await skein('members', 'add', '--admin', url), { status: 2, stderr: /node/ })
  t.match(await skein('members', 'add', 'c', '--timeout-ms', 'soon'), { status: 2 })
})

t.test('a plan is shown with its warnings, harmless to the terminal', async (t) => {
  const text = renderChange(report)
  t.match(text, /\n3 +planned +a b +a b d +0 → 1 +NO\n/)
  t.ok(text.endsWith('group 3: no quorum\\x1b[31m'))
  const groups = report.groups.map((one) => ({ ...one, outcome: 'unchanged' as const }))
  t.match(renderChange({ ...report, change: 'remove', groups }), /^d removed already\n/)
  const output = { line: () => {}, note: () => {} }
  for (const command of membersCommand(output).commands) {
    t.match(command.helpInformation(), /Usage: [\s\S]*--json[\s\S]*--dry-run/)
  }
})
