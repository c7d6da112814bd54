import t from 'tap'
import * as core from '../../../src/core/index.js'
import {
  type ErrorCode,
  errorCodes,
  factsOf,
  hasCode,
  InvalidArgumentError,
  type NodeId,
  NotLeaderError,
  RemoteError,
  SkeinError
} from '../../../src/core/index.js'

type AnyError = new (message: string, options?: object) => SkeinError

const plain = Object.entries(core).filter(
  ([name, value]) =>
    typeof value === 'function' &&
    value.prototype instanceof SkeinError &&
    !['RemoteError', 'InvalidArgumentError', 'InvalidConfigError'].includes(name)
) as [string, AnyError][]

t.test('every class has its own code, keeps its cause and tells its facts', async (t) => {
  const codes = new Set<ErrorCode>(['ERR_SKEIN_INVALID_ARGUMENT', 'ERR_SKEIN_INVALID_CONFIG'])
  const cause = new Error('below')
  for (const [name, Class] of plain) {
    const error = new Class('said', { cause, nodeId: 'n', details: { a: 1 } })
    t.match(error, { name, message: 'said', cause, nodeId: 'n' })
    t.notOk(codes.has(error.code), `${error.code} is of one class`)
    codes.add(error.code)
    const { code, retryable } = error
    t.same(error.toFacts(), { code, message: 'said', retryable, nodeId: 'n', details: { a: 1 } })
  }
  t.same([...codes].sort(), [...errorCodes].sort(), 'every code has an exported class')
})

t.test('facts cross a border and come back as an error with the same code', async (t) => {
  const original = new NotLeaderError('no', { leaderHint: 'b' as NodeId })
  const remote = new RemoteError(factsOf(original))
  t.ok(hasCode(remote, 'ERR_SKEIN_NOT_LEADER'))
  t.match(remote, { leaderHint: 'b', retryable: true, message: 'no' })
  t.same(factsOf(remote), factsOf(original))
})

t.test('what is not ours is an internal error', async (t) => {
  t.match(factsOf(new TypeError('x')), { code: 'ERR_SKEIN_INTERNAL', message: 'x' })
  t.match(factsOf('text'), { code: 'ERR_SKEIN_INTERNAL', message: 'text' })
  t.notOk(hasCode(new Error('x'), 'ERR_SKEIN_INTERNAL'))
})

t.test('a wrong argument names its field, or all of them', async (t) => {
  t.match(new InvalidArgumentError('port', 'is odd'), {
    message: 'port: is odd',
    field: 'port',
    details: { field: 'port' }
  })
  const several = new InvalidArgumentError('a', 'x', ['a: x', 'b: y'])
  t.same(several.details, { field: 'a', faults: ['a: x', 'b: y'] })
})
