/**
 * Newcomers behind a link that is far and narrow, while the group is written to: who takes in more
 * than is written votes in the end, who takes in less is refused. All others are on fast links.
 */
import t, { type Test } from 'tap'
import { DEFAULT_GROUP, type NodeId } from '../../../src/core/ids.js'
import { TestCluster, type TestNode } from '../../support/consensus-cluster.js'
import { looksAtAll } from '../../support/thoroughness.js'

/** Of the link, its bytes: 400 kB/s, 20 ms away, and a queue that takes a third of a second. */
const link = { delayMs: 20, bytesPerMs: 400, queueBytesMax: 128 * 1_024 }
const valueBytes = 8 * 1_024
const consensus = {
  appendsInFlightMax: 64,
  appendSizeBytesMax: 16 * 1_024,
  appendBytesInFlightMax: 64 * 1_024
}
/** A second of the link. */
const writtenBefore = 50

interface Load {
  readonly cluster: TestCluster
  readonly leader: string
  readonly link: { readonly bytes: number; readonly queuedBytesPeak: number; refused: number }
  /** Of a write, at the fast voters. */
  readonly longestMs: () => number
  readonly writes: () => number
  stop(): void
}

const value = 'v'.repeat(valueBytes)

/** d is there, behind the link; `share` of what passes it is written, at even intervals. */
async function written(share: number, options: Partial<typeof consensus> = {}): Promise<Load> {
  const cluster = new TestCluster({
    seed: 5,
    consensus: { ...consensus, ...options },
    engine: { flushEveryApplies: 64 }
  })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  for (let i = 0; i < writtenBefore; i++) await cluster.written(leader, `set k${i % 8} ${value}`)
  const newcomer: TestNode = await cluster.start('d')
  cluster.network.narrow(leader as NodeId, newcomer.id, link)
  let isOver = false
  let longestMs = 0
  let writes = 0
  const intervalMs = valueBytes / (share * link.bytesPerMs)
  const tick = () => {
    if (isOver) return
    const since = cluster.clock.now()
    cluster.clock.schedule((since + intervalMs) as typeof since, tick)
    void cluster.write(leader, `set k${writes++ % 8} ${value}`).then(() => {
      longestMs = Math.max(longestMs, cluster.clock.now() - since)
    })
  }
  tick()
  const narrow = cluster.network.narrowLink(leader as NodeId, newcomer.id)
  if (narrow === null) throw new Error('the link is narrow')
  const stop = () => {
    isOver = true
  }
  const told = { longestMs: () => longestMs, writes: () => writes }
  return { cluster, leader, link: narrow, ...told, stop }
}

const added = ({ cluster, leader }: Load, ms: number): Promise<void> =>
  cluster.node(leader).driver.addNode(DEFAULT_GROUP, 'd' as NodeId, cluster.deadline(ms))

function isGentle(t: Test, { link, longestMs }: Load): void {
  t.ok(link.queuedBytesPeak < 96 * 1_024, `${link.queuedBytesPeak} bytes waited for the link`)
  t.equal(link.refused, 0)
  t.ok(longestMs() < 20, `no write took longer than ${longestMs()} ms`)
}

for (const share of looksAtAll ? [0.5, 0.8] : [0.5]) {
  t.test(`R-M05 R-F01 a newcomer votes whose link takes what is written, ${share}`, async (t) => {
    const load = await written(share)
    const { cluster, leader } = load
    const since = cluster.clock.now()
    await cluster.clock.settle(added(load, 60_000), 90_000)
    const tookMs = cluster.clock.now() - since
    // A second's worth, and what is written meanwhile, and so on: a geometric series.
    const shortestMs = (writtenBefore * valueBytes) / link.bytesPerMs / (1 - share)
    t.ok(tookMs < 1.2 * shortestMs, `${tookMs} ms, of ${shortestMs} ms at the least`)
    t.match(cluster.group(leader).status().voters, ['a', 'b', 'c', 'd'])
    isGentle(t, load)
    const sent = (writtenBefore + load.writes()) * valueBytes
    t.ok(load.link.bytes < 1.1 * sent, `${load.link.bytes} bytes for ${sent}`)
    load.stop()
    await cluster.untilCaughtUp()
    t.equal(new Set(await cluster.hashes()).size, 1)
  })
}

t.test('R-M05 R-F01 a newcomer whose link takes less than is written is refused', async (t) => {
  const load = await written(1.2)
  const { cluster, leader } = load
  const refused = t.rejects(added(load, 60_000), {
    code: 'ERR_SKEIN_MEMBER_CHANGE_FAILED',
    details: { reason: 'it takes in no more than is written' }
  })
  await cluster.clock.settle(refused, 90_000)
  t.match(cluster.group(leader).status().voters, ['a', 'b', 'c'])
  isGentle(t, load)
  load.stop()
  await cluster.clock.advance(100)
  t.same(cluster.group(leader).raft.core.configuration.learners, [], 'it is taken out again')
})

t.test(
  'R-F01 a window larger than the queue of the transport wastes none of the link',
  async (t) => {
    const load = await written(0.6, { appendBytesInFlightMax: 1_024 * 1_024 })
    const { cluster } = load
    await cluster.clock.settle(added(load, 60_000), 90_000)
    const sent = (writtenBefore + load.writes()) * valueBytes
    t.ok(load.link.refused > 0)
    t.ok(load.link.bytes < 1.1 * sent, `${load.link.bytes} bytes for ${sent}`)
    load.stop()
    await cluster.untilCaughtUp()
  }
)
