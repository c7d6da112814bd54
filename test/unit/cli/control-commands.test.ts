import t from 'tap'
import { createAdminServer } from '../../../lib/admin.js'
import { renderPlacement } from '../../../src/cli/placement-command.js'
import { renderVersions } from '../../../src/cli/upgrade-command.js'
import { ChangeRefusedError, silentLogger } from '../../../src/core/index.js'
import { skein } from '../../support/run-skein.js'
import { FakeManager } from '../admin/fake-manager.js'

t.test('placement: groups, and the hash ranges of each table', async (t) => {
  const voters = ['a', 'b']
  const ranges = [
    { from: 0, group: 0 },
    { from: 2 ** 31, group: 1 }
  ]
  const groups = [
    { group: 0, voters, leader: null },
    { group: 1, voters, leader: 'b' }
  ]
  const shown = renderPlacement({
    version: 4,
    groups,
    tables: [{ table: 'accounts', shardKey: 'id', ranges }]
  })
  t.equal(
    shown,
    [
      'placement version 4',
      '',
      'group  voters  should lead',
      '0      a, b    -',
      '1      a, b    b',
      '',
      'table     by  from hash  to        group',
      'accounts  id  00000000   7fffffff  0',
      '              80000000   ffffffff  1'
    ].join('\n')
  )
  t.match(renderPlacement({ version: 1, groups, tables: [] }), /no table is spread/)
})

t.test('upgrade status says what each node speaks, and what to do next', async (t) => {
  const node = (name: string, max: number) => ({
    node: name,
    min: 1,
    max,
    software: `0.${max}.0`,
    runtime: max > 1 ? 'Node.js 22.21.0' : null
  })
  const view = { clusterVersion: 1, minVersion: 1, nodes: [node('a', 2), node('b', 1)], silent: [] }
  t.equal(
    renderVersions({ ...view, highestCommon: 1 }),
    [
      'cluster version 1; logs may hold formats from 1',
      '',
      'node  software  runs on          speaks',
      'a     0.2.0     Node.js 22.21.0  1 to 2',
      'b     0.1.0     -                1',
      '',
      'nothing to finalize'
    ].join('\n')
  )
  t.match(renderVersions({ ...view, highestCommon: 2 }), /every member speaks 2: skein upgrade/)
  t.match(
    renderVersions({ ...view, highestCommon: null, silent: ['c'] }),
    /c +- +- +has not said yet[\s\S]*not every member has said/
  )
})

t.test('the commands ask the node, and end with 1 where it refuses', async (t) => {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: [],
    logger: silentLogger,
    eventSubscribersMax: 2
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const ask = (...args: string[]) => skein(...args, '--admin', `http://${address}`)
  const placement = await ask('placement', '--json')
  t.match(JSON.parse(placement.stdout), { version: 3, groups: [{ group: 0 }] })
  const listed = await ask('placement', 'changes')
  t.match(listed, { status: 0, stdout: /accounts +stopped +1 of 3 +group 2: duplicate/ })
  const id = '00112233445566778899aabbccddeeff'
  const aborted = await ask('placement', 'changes', 'abort', id, '--by', 'ann')
  t.match(aborted, { status: 0, stdout: /aborted +0 of 3/ })
  t.same(manager.control.asked.splice(0), [{ call: 'abortSchemaChange', with: { id, by: 'ann' } }])
  t.match(await ask('upgrade', 'status'), { status: 0, stdout: /every member speaks 2/ })
  t.match(await ask('upgrade', 'finalize', '--to', '2'), { status: 0 })
  t.same(manager.control.asked, [{ call: 'finalizeVersion', with: { to: 2 } }])
  manager.control.error = new ChangeRefusedError('the cluster version stays')
  t.match(await ask('upgrade', 'finalize'), { status: 1, stderr: /ERR_SKEIN_CHANGE_REFUSED/ })
  t.match(await ask('upgrade', 'finalize', '--to', 'x'), { status: 2 })
})
