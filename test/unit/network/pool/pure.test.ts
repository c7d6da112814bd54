import t from 'tap'
import { type MonotonicMs, SplittableRandom } from '../../../../src/core/index.js'
import { Backoff } from '../../../../src/network/pool/backoff.js'
import {
  Choices,
  chooseConnection,
  type OpenConnection
} from '../../../../src/network/pool/choose-connection.js'
import { node } from '../../../support/transport-world.js'

t.test('the pause doubles up to the maximum, jittered in its upper half', async (t) => {
  const limits = { reconnectBackoffMinMs: 50, reconnectBackoffMaxMs: 5_000 }
  const backoff = new Backoff(SplittableRandom.fromSeed(1), limits)
  for (let failure = 0; failure < 40; failure++) {
    backoff.handleFailure(1_000 as MonotonicMs)
    const pause = backoff.notBefore - 1_000
    const full = Math.min(50 * 2 ** failure, 5_000)
    t.ok(pause >= full / 2 && pause <= full, `${failure}: ${pause}`)
  }
  backoff.handleSuccess(2_000 as MonotonicMs)
  t.equal(backoff.notBefore, 0)
  backoff.handleFailure(2_499 as MonotonicMs)
  t.ok(backoff.notBefore >= 2_499 + 2_500, 'it broke too soon to be a success')
  backoff.handleSuccess(8_000 as MonotonicMs)
  backoff.handleSuccess(8_600 as MonotonicMs)
  backoff.handleFailure(8_601 as MonotonicMs)
  t.ok(backoff.notBefore <= 8_601 + 50, 'one that stood ends the row')
})

t.test('both ends keep the same of two simultaneous connections', async (t) => {
  // x was dialled by a, y by b; each node said its dialling Hello before its accepting one.
  const x = { atA: open(true, 'B', 2), atB: open(false, 'A', 1) }
  const y = { atA: open(false, 'B', 1), atB: open(true, 'A', 2) }
  const [a, b] = [node('a'), node('b')]
  t.equal(chooseConnection(x.atA, y.atA, a, b), Choices.RetireNewer)
  t.equal(chooseConnection(y.atA, x.atA, a, b), Choices.RetireOlder)
  t.equal(chooseConnection(x.atB, y.atB, b, a), Choices.RetireNewer)
  t.equal(chooseConnection(y.atB, x.atB, b, a), Choices.RetireOlder)
})

t.test('a connection that the peer had lost is closed', async (t) => {
  const [a, b] = [node('a'), node('b')]
  const dialledByA = open(true, 'B', 2)
  t.equal(chooseConnection(dialledByA, open(false, 'B', 3), a, b), Choices.CloseOlder)
  t.equal(chooseConnection(dialledByA, open(false, 'B2', 1), a, b), Choices.CloseOlder)
  t.equal(chooseConnection(open(false, 'B', 2), open(false, 'B', 3), a, b), Choices.CloseOlder)
})

const open = (isDialer: boolean, peerBootNonce: string, peerSequence: number): OpenConnection => ({
  isDialer,
  peerBootNonce,
  peerSequence
})
