import t from 'tap'
import type { ReplicaHello } from '../../../../src/consensus/founding-driver.js'
import { replicaHello } from '../../../../src/consensus/group/group-messages.js'
import {
  answerWaitMs,
  askIntervalMs,
  RollbackWatch,
  watchedPeersMax
} from '../../../../src/consensus/rollback/rollback-watch-driver.js'
import type { StartMark } from '../../../../src/consensus/rollback/start-mark.js'
import type { NodeId, ReplicaId } from '../../../../src/core/ids.js'
import { silentLogger } from '../../../../src/core/ports/logger.js'
import { MemoryNetwork } from '../../../support/memory-messenger.js'
import { VirtualClock } from '../../../support/virtual-clock.js'

const b = 'b' as NodeId
const c = 'c' as NodeId
const mark = (count: number, digit = 'a'): StartMark => ({ count, nonce: digit.repeat(16) })

type Answer = { readonly heard?: StartMark }

/** Node b watches; node c answers as told. */
function makeWatch(own: StartMark | null, answer: () => Promise<Answer>, hearsOfPeers = true) {
  const clock = new VirtualClock()
  const network = new MemoryNetwork(clock)
  const messenger = network.join(b)
  const proofs: unknown[] = []
  const asked: (StartMark | undefined)[] = []
  const hello = (node: string): ReplicaHello => ({
    self: `${node}/0000000000000001` as ReplicaId,
    clusterName: 'test',
    pledged: null,
    founded: false
  })
  const watch = new RollbackWatch({
    clock,
    messenger,
    logger: silentLogger,
    hello: () => hello('b'),
    onOutlived: (...proof) => proofs.push(proof)
  })
  if (hearsOfPeers) messenger.onPeer(({ nodeId, connected }) => watch.handlePeer(nodeId, connected))
  watch.begin(own)
  const peer = () =>
    network.join(c).onRequest(replicaHello, async ({ body }) => {
      asked.push(body.start)
      return { ...hello('c'), ...(await answer()) }
    })
  return { asked, clock, network, peer, proofs, watch }
}

t.test('R-P14 a peer that has heard of a later start proves it', async (t) => {
  const { asked, clock, peer, proofs } = makeWatch(mark(2), async () => ({ heard: mark(3) }))
  peer()
  await clock.advance(10)
  t.same(asked, [mark(2)])
  t.same(proofs, [[c, mark(2), mark(3)]])
})

t.test('R-P14 elections wait for the answer of who may know better, and no longer', async (t) => {
  let isReady = false
  const { asked, clock, peer, proofs, watch } = makeWatch(mark(2), async () => {
    if (!isReady) throw new Error('not ready')
    return { heard: mark(2) }
  })
  peer()
  await clock.advance(askIntervalMs / 2)
  for (const kind of ['vote', 'voteResponse', 'preVote', 'preVoteResponse'] as const) {
    t.ok(watch.holdsBack(c, kind), kind)
  }
  t.notOk(watch.holdsBack(c, 'appendEntries'), 'who leads already is followed')
  isReady = true
  await clock.advance(askIntervalMs)
  t.equal(asked.length, 2, 'it was asked again')
  t.notOk(watch.holdsBack(c, 'vote'))
  t.same(proofs, [])
})

t.test('R-P14 nobody is waited for for ever, nor where this start has no mark', async (t) => {
  const never = () => new Promise<Answer>(() => {})
  const { clock, peer, watch } = makeWatch(mark(2), never)
  peer()
  t.ok(watch.holdsBack(c, 'vote'))
  await clock.advance(answerWaitMs - 1)
  t.ok(watch.holdsBack(c, 'vote'))
  await clock.advance(1)
  t.notOk(watch.holdsBack(c, 'vote'))
  const unmarked = makeWatch(null, never)
  unmarked.peer()
  t.notOk(unmarked.watch.holdsBack(c, 'vote'))
  t.same(unmarked.asked, [])
})

t.test('R-P14 who is heard without a connection is asked, and waited for, as well', async (t) => {
  const { clock, network, watch } = makeWatch(mark(2), async () => ({}))
  const silent = 'd' as NodeId
  t.ok(watch.holdsBack(silent, 'vote'))
  await clock.advance(answerWaitMs)
  t.notOk(watch.holdsBack(silent, 'vote'))
  t.equal(network.nodes.size, 1)
})

t.test('R-P14 a node of the version before answers, and proves nothing', async (t) => {
  const { clock, peer, proofs, watch } = makeWatch(mark(2), async () => ({}))
  peer()
  await clock.advance(10)
  t.notOk(watch.holdsBack(c, 'vote'))
  t.same(proofs, [])
  const self = 'c/0000000000000001' as ReplicaId
  const old = { self, clusterName: 'test', pledged: null, founded: false }
  t.same(watch.answerTo(c, old), {}, 'nor is it told anything')
  t.same(watch.answerTo(c, { ...old, start: mark(1) }), { heard: mark(1) })
})

t.test('R-P14 a peer is told at every connection: its process may be a new one', async (t) => {
  const { asked, clock, network, peer } = makeWatch(mark(2), async () => ({ heard: mark(2) }))
  peer()
  await clock.advance(10)
  network.leave(c)
  await clock.advance(10)
  peer()
  await clock.advance(10)
  t.same(asked, [mark(2), mark(2)])
})

t.test('R-P14 who speaks first is asked as well', async (t) => {
  const { asked, clock, network, watch } = makeWatch(mark(2), async () => ({}), false)
  const self = 'd/0000000000000001' as ReplicaId
  const hello: ReplicaHello = {
    self,
    clusterName: 'test',
    pledged: null,
    founded: false,
    start: mark(1)
  }
  const d = 'd' as NodeId
  network.join(d).onRequest(replicaHello, async ({ body }) => {
    asked.push(body.start)
    return hello
  })
  watch.answerTo(d, hello)
  await clock.advance(10)
  t.same(asked, [mark(2)])
  watch.answerTo(d, hello)
  await clock.advance(10)
  t.equal(asked.length, 1, 'once')
})

t.test('R-P14 what is heard after the end proves nothing any more', async (t) => {
  const { clock, peer, proofs, watch } = makeWatch(mark(2), async () => ({ heard: mark(3) }))
  peer()
  watch.stop()
  await clock.advance(2 * askIntervalMs)
  t.same(proofs, [])
})

t.test('peers are remembered up to a bound', async (t) => {
  const { clock, watch } = makeWatch(mark(2), async () => ({}))
  t.ok(watch.holdsBack('n0' as NodeId, 'vote'))
  await clock.advance(answerWaitMs)
  for (let i = 1; i <= watchedPeersMax; i++) watch.holdsBack(`n${i}` as NodeId, 'vote')
  t.ok(watch.holdsBack('n0' as NodeId, 'vote'), 'the one met longest ago is met anew')
})
