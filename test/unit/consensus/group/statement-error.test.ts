import t from 'tap'
import { statementError } from '../../../../src/consensus/group/statement-error.js'

const told = (code: string) => {
  const failure = { code, message: 'said the engine', statement: 2, engineCode: 'X' }
  return statementError(failure)
}

t.test('what an engine refuses is told by the code that it was refused with', async (t) => {
  for (const code of [
    'ERR_SKEIN_SQL',
    'ERR_SKEIN_SQL_CONSTRAINT',
    'ERR_SKEIN_SQL_REFUSED',
    'ERR_SKEIN_STATEMENT_TIMEOUT',
    'ERR_SKEIN_COMMAND_TOO_LARGE',
    'ERR_SKEIN_RESULT_TOO_LARGE',
    'ERR_SKEIN_BACKPRESSURE'
  ]) {
    const error = told(code)
    t.equal(error.code, code)
    t.match(error, { message: 'said the engine', details: { statement: 2, engineCode: 'X' } })
    t.equal(error.retryable, code === 'ERR_SKEIN_BACKPRESSURE', code)
  }
  t.equal(told('SOME_CODE_OF_AN_ENGINE').code, 'ERR_SKEIN_SQL')
})
