import t from 'tap'
import { type ErrorCode, errorCodes, RemoteError } from '../../../src/core/index.js'
import { Outcomes, outcomeOf } from '../../../src/routing/retry-policy.js'
import { type WriteEffect, WriteEffects, writeEffectOf } from '../../../src/routing/write-effect.js'

const thrown = (code: ErrorCode, details?: { readonly executed: boolean }) => {
  const facts = { code, message: '', retryable: false }
  return new RemoteError(details === undefined ? facts : { ...facts, details })
}

const codesWith = (effect: WriteEffect) =>
  errorCodes.filter((code) => writeEffectOf(thrown(code)) === effect)

t.test('J-02 what became of a write is told by its error, or is unknown', async (t) => {
  t.same(codesWith(WriteEffects.Done), ['ERR_SKEIN_RESULT_NOT_KEPT'])
  const none = codesWith(WriteEffects.None)
  for (const code of none) {
    const saysSo = outcomeOf(thrown(code)) !== Outcomes.Unknown
    t.ok(saysSo || code === 'ERR_SKEIN_TIMEOUT' || code === 'ERR_SKEIN_STOPPED', code)
  }
  for (const code of ['NO_LEADER', 'LOCKED', 'SQL', 'STATEMENT_TIMEOUT', 'TIMEOUT', 'STOPPED']) {
    t.ok(none.includes(`ERR_SKEIN_${code}` as ErrorCode), code)
  }
  const unknown = codesWith(WriteEffects.Unknown)
  for (const code of ['INDETERMINATE', 'CANCELLED', 'CONNECTION_LOST', 'INTERNAL']) {
    t.ok(unknown.includes(`ERR_SKEIN_${code}` as ErrorCode), code)
  }
  t.ok(unknown.includes('ERR_SKEIN_CLIENT_EXPIRED'), 'an earlier attempt may have been executed')
  t.ok(unknown.includes('ERR_SKEIN_SERIAL_FORGOTTEN'), 'the client has said that it knows')
  t.equal(writeEffectOf(new Error('anything else')), WriteEffects.Unknown)
})

t.test('a result that is too large tells whether the write was executed', async (t) => {
  t.equal(writeEffectOf(thrown('ERR_SKEIN_RESULT_TOO_LARGE')), WriteEffects.None)
  const executed = thrown('ERR_SKEIN_RESULT_TOO_LARGE', { executed: true })
  t.equal(writeEffectOf(executed), WriteEffects.Done)
})
