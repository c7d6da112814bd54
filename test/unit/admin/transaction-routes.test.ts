import t from 'tap'
import * as routes from '../../../src/admin/routes/transaction-routes.js'
import type { GroupId, TransactionReport } from '../../../src/core/index.js'
import { serveRoutes } from './serve-routes.js'

const id = '0000000003e8-00000000000000ff'
const path = `/v1/transactions/${id}/resolve`

t.test('T-09 transactions in doubt are listed, and ended by hand with force alone', async (t) => {
  const { ask } = await serveRoutes(t)
  const listed = await ask('GET', '/v1/transactions')
  t.ok(routes.transactionsAnswer.safeParse(listed.json).success)
  t.match(listed, {
    status: 200,
    json: { inDoubt: 1, transactions: [{ transaction: id, group: 2, state: 'prepared' }] }
  })
  const said = { group: 2, outcome: 'abort', by: 'somebody', reason: 'its coordinator is lost' }
  t.match(await ask('POST', path, said), {
    status: 409,
    json: { code: 'ERR_SKEIN_CHANGE_REFUSED' }
  })
  t.match(await ask('POST', path, { ...said, force: true }), {
    status: 200,
    json: { state: 'aborted' }
  })
  const invalid = { status: 400, json: { code: 'ERR_SKEIN_INVALID_ARGUMENT' } }
  t.match(await ask('POST', path, { ...said, outcome: 'perhaps' }), invalid)
  t.match(await ask('POST', '/v1/transactions/7/resolve', { ...said, force: true }), invalid)
})

t.test(
  'T-08 the audit trail has what was decided by hand, for which group, and by whom',
  async (t) => {
    const { ask, manager } = await serveRoutes(t)
    const said = { group: 2, outcome: 'abort', by: 'ann', reason: 'group 1 is lost' }
    await ask('POST', path, { ...said, force: true })
    await ask('POST', path, said)
    await ask('POST', path, { ...said, by: '' })
    const told = `POST ${path}?outcome=abort&group=2`
    t.match(manager.control.recorded, [
      { action: `${told}&force=true&by=ann`, status: 200, principal: /./ },
      { action: `${told}&force=false&by=ann`, status: 409 },
      { action: `POST ${path}`, status: 400 }
    ])
  }
)

t.test('T-09 skein transactions lists, and ends a branch by hand', async (t) => {
  const { run, manager } = await serveRoutes(t)
  const listed = await run('transactions')
  t.equal(listed.status, 0)
  t.match(listed.stdout, new RegExp(`${id} +2 +prepared +1 +1 2 +1.2 s +2 +the word of group 1`))
  t.match(listed.stdout, '1 in doubt')
  t.match(JSON.parse((await run('transactions', '--json')).stdout), { inDoubt: 1 })
  const resolve = (...args: string[]) => run('transactions', 'resolve', id, ...args)
  t.match(await resolve('--abort'), { status: 1, stderr: /ERR_SKEIN_CHANGE_REFUSED/ })
  t.match(await resolve('--abort', '--force', '--by', 'ann', '--reason', 'lost'), {
    status: 0,
    stdout: `the branch of group 2 of transaction ${id} is aborted`
  })
  const committed = await resolve('--commit', '--force', '--group', '2', '--json')
  t.same(JSON.parse(committed.stdout), { transaction: id, group: 2, state: 'committed' })
  t.match(manager.transactions.asked, [
    { force: false, by: 'skein', reason: 'by hand' },
    { group: 2, outcome: 'abort', force: true, by: 'ann', reason: 'lost' },
    { group: 2, outcome: 'commit', force: true }
  ])
})

t.test('T-08 resolve ends with 1 where the branch has ended otherwise', async (t) => {
  const { run, manager } = await serveRoutes(t)
  const resolve = (...args: string[]) => run('transactions', 'resolve', ...args)
  manager.transactions.state = 'committed'
  t.match(await resolve(id, '--abort', '--force'), {
    status: 1,
    stdout: /is committed/,
    stderr: /not as it was asked for/
  })
  t.match(await resolve(id, '--forget', '--group', '2'), { status: 0, stdout: /is forgotten/ })
  const other = '0000000003e8-00000000000000aa'
  t.match(await resolve(other, '--abort', '--force'), { status: 1, stderr: /--group/ })
  t.match(await resolve(id, '--forget'), { status: 1, stderr: /no outcome to forget/ })
  for (const args of [[], ['--abort', '--commit'], ['--abort', '--group', 'x']]) {
    t.equal((await resolve(id, ...args)).status, 2, args.join(' '))
  }
})

t.test('T-09 each state says who is waited for', async (t) => {
  const { run, manager } = await serveRoutes(t)
  const [prepared] = manager.transactions.list().transactions as [TransactionReport]
  const groups = (...all: number[]) => all as GroupId[]
  manager.transactions.all = [
    { ...prepared, coordinator: 2 as GroupId },
    { ...prepared, group: 3 as GroupId },
    { ...prepared, state: 'committed', outcome: 'committed', pending: groups(1, 3) },
    { ...prepared, state: 'heuristic', outcome: 'aborted', reason: 'ann: group 1 is lost' },
    { ...prepared, state: 'mixed', outcome: 'aborted', reason: 'ann: group 1 is lost' }
  ]
  const { stdout } = await run('transactions')
  t.match(stdout, 'its own group’s decision')
  t.match(stdout, 'groups that have not acknowledged: 1 3')
  t.match(stdout, 'the word of group 1; aborted here by ann: group 1 is lost')
  t.match(stdout, 'an operator to read it: aborted here by ann: group 1 is lost, not everywhere')
  const several = await run('transactions', 'resolve', id, '--abort', '--force')
  t.match(several, { status: 2, stderr: /say --group, one of 2, 3/ })
  manager.transactions.all = []
  t.match((await run('transactions')).stdout, 'every transaction over groups is at an end')
})
