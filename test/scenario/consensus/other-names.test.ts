import t from 'tap'
import type { ReplicaHello } from '../../../src/consensus/founding-driver.js'
import { replicaHello } from '../../../src/consensus/group/group-messages.js'
import { raftDeclarations } from '../../../src/consensus/messages.js'
import {
  DEFAULT_GROUP,
  type LogIndex,
  type NodeId,
  type StorageId,
  storageOf,
  type Term,
  toReplicaId
} from '../../../src/core/index.js'
import { TestCluster } from '../../support/consensus-cluster.js'

const storageAt = (cluster: TestCluster, name: string): StorageId => {
  const replica = cluster.node(name).driver.replicaId()
  if (replica === null) throw new Error(`${name} has no replica`)
  return storageOf(replica)
}

const othersOf = (leader: string) =>
  ['a', 'b', 'c'].filter((name) => name !== leader) as [string, string]

const acceptance = (from: StorageId, to: StorageId, term: number, index: number) => ({
  kind: 'appendEntriesResponse' as const,
  group: DEFAULT_GROUP,
  from,
  to,
  term: term as Term,
  rejected: false,
  index: index as LogIndex,
  hintIndex: 0 as LogIndex,
  hintTerm: 0 as Term
})

t.test(
  "X-12: with another's storage a peer still votes and accepts for itself alone",
  async (t) => {
    const cluster = new TestCluster()
    await cluster.startAll()
    const leader = await cluster.untilLeader()
    const [robbed, other] = othersOf(leader)
    await cluster.written(leader, 'set k v')
    await cluster.untilCaughtUp()
    const { term, commitIndex } = cluster.group(leader).status()
    const mallory = cluster.network.join('mallory' as NodeId)
    cluster.network.isolate(robbed as NodeId)
    cluster.network.isolate(other as NodeId)
    const lost = cluster.write(leader, 'set k lost', null, 60).catch((error: unknown) => error)
    await cluster.clock.advance(10)
    const { lastIndex } = cluster.group(leader).raft.status()
    t.equal(lastIndex, commitIndex + 1, 'the write waits for another replica')
    const from = storageAt(cluster, robbed)
    const { appendEntriesResponse } = raftDeclarations
    const forged = acceptance(from, storageAt(cluster, leader), term, lastIndex)
    t.ok(mallory.send(leader as NodeId, appendEntriesResponse, forged))
    await cluster.clock.advance(20)
    t.equal(cluster.group(leader).status().commitIndex, commitIndex, 'it counts for nobody')
    await cluster.clock.advance(2_000)
    t.match(await lost, { code: /^ERR_SKEIN_/ })
  }
)

t.test('X-12: the answer goes to the peer that asked, whatever storage it named', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const [robbed, voter] = othersOf(leader)
  const mallory = cluster.network.join('mallory' as NodeId)
  const answers: string[] = []
  const self = toReplicaId(`mallory/${'0'.repeat(16)}`)
  const hello: ReplicaHello = { self, clusterName: 'test', pledged: null, founded: false }
  mallory.onRequest(replicaHello, async () => hello)
  await cluster.clock.advance(10)
  mallory.onMessage(raftDeclarations.voteResponse, ({ from }) => answers.push(from))
  const term = (cluster.group(voter).status().term + 1) as Term
  mallory.send(voter as NodeId, raftDeclarations.vote, {
    kind: 'vote',
    group: DEFAULT_GROUP,
    from: storageAt(cluster, robbed),
    to: storageAt(cluster, voter),
    term,
    lastIndex: 0 as LogIndex,
    lastTerm: 0 as Term,
    transfer: true
  })
  await cluster.clock.advance(50)
  t.same(answers, [voter])
  t.equal(cluster.group(voter).status().term, term, 'its question was heard')
})

t.test('what is meant for another storage of the node is dropped, and counted', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const [follower] = othersOf(leader)
  const { driver } = cluster.node(leader)
  const dropped = () => driver.counters.get('messages_dropped')
  const before = dropped()
  const former = '00000000000000aa' as StorageId
  const meant = acceptance(storageAt(cluster, follower), former, 1_000, 1)
  const messenger = cluster.network.nodes.get(follower as NodeId)
  messenger?.send(leader as NodeId, raftDeclarations.appendEntriesResponse, meant)
  await cluster.clock.advance(20)
  t.equal(dropped(), before + 1)
  t.equal(cluster.leader(), leader, 'its term of 1,000 deposed nobody')
})
