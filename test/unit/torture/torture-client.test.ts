import t from 'tap'
import type { AdminClient, Outcome } from '../../../src/cli/admin-client.js'
import type { ErrorFacts } from '../../../src/core/index.js'
import { adminOf } from '../../torture/torture-client.js'

const told = async (code: ErrorFacts['code'], details?: ErrorFacts['details']) => {
  const facts = { code, message: 'said the node', retryable: false }
  const error = details === undefined ? facts : { ...facts, details }
  const outcome: Outcome = { kind: 'refused', status: 409, error }
  const admin = { post: () => Promise.resolve(outcome) } as unknown as AdminClient
  return (await adminOf(admin).call([{ sql: 'INSERT' }], 1_000)).kind
}

t.test('J-02 what was executed without an answer is not told as refused', async (t) => {
  t.equal(await told('ERR_SKEIN_RESULT_NOT_KEPT'), 'executed')
  t.equal(await told('ERR_SKEIN_RESULT_TOO_LARGE', { executed: true }), 'executed')
  t.equal(await told('ERR_SKEIN_INDETERMINATE'), 'info')
  t.equal(await told('ERR_SKEIN_CLIENT_EXPIRED'), 'info')
  t.equal(await told('ERR_SKEIN_INTERNAL'), 'info')
  t.equal(await told('ERR_SKEIN_STATEMENT_TIMEOUT'), 'fail')
  t.equal(await told('ERR_SKEIN_NO_LEADER'), 'fail')
})
