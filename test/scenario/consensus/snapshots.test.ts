import t, { type Test } from 'tap'
import type { ConsensusCounter } from '../../../src/consensus/counters.js'
import {
  snapshotChunkBytes,
  snapshotChunkRequest
} from '../../../src/consensus/group/group-messages.js'
import { heldLogFactor } from '../../../src/consensus/group/log-keeper-driver.js'
import { manifestDirectory } from '../../../src/consensus/group/parts-manifest-driver.js'
import { partsPerRecord } from '../../../src/consensus/group/received-parts-driver.js'
import { snapshotChunksInFlightMax } from '../../../src/consensus/group/snapshot-sink-driver.js'
import { pacedBatchMsMax } from '../../../src/consensus/group/write-pace-driver.js'
import { DEFAULT_GROUP, type NodeId, type Serial, toClientId } from '../../../src/core/ids.js'
import { TestCluster, type TestClusterOptions } from '../../support/consensus-cluster.js'

/** A log that holds little, and snapshots of more than one part. */
const short = { logEntriesMax: 16, logTailShare: 0.1, snapshotChunkTimeoutMs: 50 }
const paddingBytes = 3_000_000
const partsMin = Math.floor(paddingBytes / snapshotChunkBytes)

interface Options extends TestClusterOptions {
  readonly paddingBytes?: number
  readonly writes?: number
}

/** A follower is down while the log goes far beyond what is kept. */
async function withOneBehind(options: Options = {}) {
  const cluster = new TestCluster({
    ...options,
    consensus: { ...short, ...options.consensus },
    engine: { snapshotPaddingBytes: options.paddingBytes ?? 0 }
  })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set early 1')
  const [behind = ''] = ['a', 'b', 'c'].filter((name) => name !== leader)
  cluster.crash(behind)
  for (let i = 0; i < (options.writes ?? 60); i++) await cluster.written(leader, `set k${i} v${i}`)
  return { cluster, leader, behind }
}

const counterOf = (cluster: TestCluster, name: string, counter: ConsensusCounter): number =>
  cluster.node(name).driver.counters.get(counter)

const isThere = (cluster: TestCluster, name: string): boolean => {
  const group = cluster.node(name).driver.group(DEFAULT_GROUP)
  const leader = cluster.leader()
  if (group === null || leader === null) return false
  return group.status().appliedIndex >= cluster.group(leader).status().commitIndex
}

async function isEqual(t: Test, cluster: TestCluster): Promise<void> {
  await cluster.untilCaughtUp()
  t.equal(new Set(await cluster.hashes()).size, 1, 'all hold the same')
}

t.test('R-S01 R-S13 who was away for long is brought back by a snapshot', async (t) => {
  const { cluster, leader, behind } = await withOneBehind()
  const { firstIndex, lastIndex } = cluster.group(leader).status()
  t.ok(lastIndex - firstIndex < short.logEntriesMax, `${firstIndex}…${lastIndex}`)
  await cluster.start(behind)
  await isEqual(t, cluster)
  t.equal(counterOf(cluster, behind, 'snapshots_installed'), 1)
  const told = cluster.node(behind).events.find(({ type }) => type === 'SnapshotInstalled')
  t.match(told, { type: 'SnapshotInstalled', from: leader })
  t.equal(await cluster.read(behind, 'k59'), 'v59')
  await cluster.written(leader, 'set after 1')
  await isEqual(t, cluster)
  cluster.crash(behind)
  await cluster.start(behind)
  await isEqual(t, cluster)
  t.equal(counterOf(cluster, behind, 'snapshots_installed'), 0, 'it starts on what it was given')
})

t.test('R-S11 what was executed once is not executed again behind a snapshot', async (t) => {
  const { cluster, leader, behind } = await withOneBehind()
  const clientId = toClientId('client')
  const tag = { clientId, serial: 1 as Serial, answeredBelow: 1 as Serial }
  await cluster.clock.settle(cluster.group(leader).registerClient(clientId, cluster.deadline()))
  const { index } = await cluster.written(leader, 'set once 1', tag)
  for (let i = 0; i < 40; i++) await cluster.written(leader, `set l${i} v${i}`)
  await cluster.start(behind)
  await isEqual(t, cluster)
  t.equal(counterOf(cluster, behind, 'snapshots_installed'), 1)
  await cluster.clock.settle(
    cluster.group(leader).transferLeadership(behind as NodeId, cluster.deadline())
  )
  const next = await cluster.untilLeader()
  t.equal(next, behind)
  t.match(await cluster.written(next, 'set once 2', tag), { index, repeated: true })
  t.equal(await cluster.read(next, 'once'), '1')
})

t.test('R-S08 interrupted five times it arrives, and no part is sent in vain', async (t) => {
  const { cluster, leader, behind } = await withOneBehind({ paddingBytes })
  await cluster.start(behind)
  const received = () => counterOf(cluster, behind, 'snapshot_chunks_received')
  for (let cut = 1; cut <= 5; cut++) {
    await cluster.clock.until(() => received() >= (cut * partsMin) / 7)
    cluster.network.isolate(behind as NodeId)
    await cluster.clock.advance(120)
    t.ok(received() < partsMin, `${received()} of ${partsMin} parts`)
    cluster.network.heal()
  }
  await isEqual(t, cluster)
  t.equal(counterOf(cluster, behind, 'snapshots_installed'), 1)
  t.equal(counterOf(cluster, leader, 'snapshots_taken'), 1, 'it was one snapshot')
  const sent = counterOf(cluster, leader, 'snapshot_chunks_sent')
  t.ok(sent <= received() + 5 * 8, `${sent} parts sent, ${received()} needed`)
})

/** Nothing of a snapshot is on its way, and no file of one is left. */
async function isSwept(t: Test, cluster: TestCluster, name: string): Promise<void> {
  const { disk, engineDisk } = cluster.node(name)
  await cluster.clock.advance(100)
  t.same(await disk.mount().list(manifestDirectory), [], 'no manifest')
  const files = await engineDisk.mount().list('kv')
  t.notOk(files.includes('incoming'), `${files}`)
}

t.test('R-S08 five power failures cost the parts of a record each, no more', async (t) => {
  const { cluster, leader, behind } = await withOneBehind({ paddingBytes })
  const count = Math.ceil(paddingBytes / snapshotChunkBytes)
  await cluster.start(behind)
  const here = () =>
    counterOf(cluster, behind, 'snapshot_bytes_resumed') +
    counterOf(cluster, behind, 'snapshot_bytes_received')
  let isSomethingResumed = false
  for (let cut = 1; cut <= 5; cut++) {
    await cluster.clock.until(() => here() >= (cut * paddingBytes) / 7)
    cluster.crash(behind)
    await cluster.clock.advance(50)
    await cluster.start(behind)
    await cluster.clock.until(() => here() > 0)
    if (counterOf(cluster, behind, 'snapshot_bytes_resumed') > 0) isSomethingResumed = true
  }
  await isEqual(t, cluster)
  t.ok(isSomethingResumed)
  t.equal(counterOf(cluster, leader, 'snapshots_taken'), 1, 'it was one snapshot')
  const sent = counterOf(cluster, leader, 'snapshot_chunks_sent')
  const lostMax = 5 * (partsPerRecord + snapshotChunksInFlightMax)
  t.ok(sent <= count + lostMax, `${sent} parts sent, ${count} needed`)
  await isSwept(t, cluster, behind)
})

t.test('R-S08 after a stop in good order no part is sent in vain', async (t) => {
  const { cluster, leader, behind } = await withOneBehind({ paddingBytes })
  await cluster.start(behind)
  const received = () => counterOf(cluster, behind, 'snapshot_chunks_received')
  await cluster.clock.until(() => received() >= partsMin / 2)
  await cluster.clock.settle(cluster.node(behind).driver.stop())
  const before = received()
  cluster.crash(behind)
  await cluster.start(behind)
  await isEqual(t, cluster)
  t.ok(counterOf(cluster, behind, 'snapshot_bytes_resumed') >= before * snapshotChunkBytes)
  t.equal(counterOf(cluster, behind, 'snapshot_bytes_missing'), 0)
  const sent = counterOf(cluster, leader, 'snapshot_chunks_sent')
  t.ok(sent <= before + received() + snapshotChunksInFlightMax, `${sent} parts sent`)
  await isSwept(t, cluster, behind)
})

t.test('R-S08 X-39 a part that rots while its node is down is sent again alone', async (t) => {
  const { cluster, leader, behind } = await withOneBehind({ paddingBytes })
  await cluster.start(behind)
  const received = () => counterOf(cluster, behind, 'snapshot_chunks_received')
  await cluster.clock.until(() => received() >= partsMin / 2)
  await cluster.clock.settle(cluster.node(behind).driver.stop())
  const before = received()
  cluster.crash(behind)
  cluster.node(behind).engineDisk.rotAt('kv/incoming', 5 * snapshotChunkBytes + 9, 2)
  await cluster.start(behind)
  await isEqual(t, cluster)
  const resumed = counterOf(cluster, behind, 'snapshot_bytes_resumed')
  t.equal(resumed % snapshotChunkBytes, 0)
  t.ok(resumed >= (before - 1) * snapshotChunkBytes, 'all but the one')
  const all = resumed / snapshotChunkBytes + received()
  t.equal(all, Math.ceil(paddingBytes / snapshotChunkBytes), 'none is missing, none twice')
  t.equal(counterOf(cluster, leader, 'snapshots_taken'), 1)
})

t.test('R-S08 R-S09 parts of a snapshot that nobody offers any more are dropped', async (t) => {
  const { cluster, leader, behind } = await withOneBehind({ paddingBytes })
  await cluster.start(behind)
  const received = () => counterOf(cluster, behind, 'snapshot_chunks_received')
  await cluster.clock.until(() => received() >= partsMin / 2)
  await cluster.clock.settle(cluster.node(behind).driver.stop())
  cluster.crash(behind)
  for (let i = 0; i < 40; i++) await cluster.written(leader, `set m${i} v${i}`)
  await cluster.clock.settle(cluster.node(leader).driver.stop())
  cluster.crash(leader)
  await cluster.start(leader)
  await cluster.start(behind)
  await isEqual(t, cluster)
  t.equal(counterOf(cluster, behind, 'snapshot_bytes_resumed'), 0)
  t.equal(counterOf(cluster, behind, 'snapshots_installed'), 1)
  await isSwept(t, cluster, behind)
})

t.test('R-S08 R-P16 power fails at any moment of a transfer, and it goes on', async (t) => {
  let resumed = 0
  for (let seed = 1; seed <= 4; seed++) {
    const options = { syncLatencyMs: 3, seed, writes: 24, paddingBytes }
    const { cluster, behind } = await withOneBehind(options)
    await cluster.start(behind)
    for (let cut = 0; cut < 2; cut++) {
      const wanted = cluster.random.nextInt(partsMin)
      await cluster.clock.until(
        () =>
          counterOf(cluster, behind, 'snapshot_chunks_received') >= wanted ||
          isThere(cluster, behind)
      )
      await cluster.clock.advance(cluster.random.nextInt(6))
      cluster.crash(behind)
      await cluster.start(behind)
    }
    await isEqual(t, cluster)
    resumed += counterOf(cluster, behind, 'snapshot_bytes_resumed')
    await isSwept(t, cluster, behind)
  }
  t.ok(resumed > 0, `${resumed} bytes resumed`)
})

t.test('R-S08 a flipped bit re-sends one part', async (t) => {
  const { cluster, leader, behind } = await withOneBehind({ paddingBytes: 200_000 })
  let flips = 0
  cluster.network.nodes.get(leader as NodeId)?.onRequest(snapshotChunkRequest, async ({ body }) => {
    const chunk = await cluster.group(leader).serveChunk(body)
    if (body.number !== 3 || flips++ > 0) return chunk
    const bytes = chunk.bytes.slice()
    bytes[1_000] = (bytes[1_000] ?? 0) ^ 1
    return { ...chunk, bytes }
  })
  await cluster.start(behind)
  await isEqual(t, cluster)
  t.equal(flips, 2)
  t.equal(counterOf(cluster, behind, 'snapshot_chunks_damaged'), 1)
  const received = counterOf(cluster, behind, 'snapshot_chunks_received')
  t.equal(counterOf(cluster, leader, 'snapshot_chunks_sent'), received + 1)
})

t.test(
  'X-39 a source that lies is given up, and tried again when it tells the truth',
  async (t) => {
    const { cluster, leader, behind } = await withOneBehind({ paddingBytes: 100_000 })
    let isLying = true
    cluster.network.nodes
      .get(leader as NodeId)
      ?.onRequest(snapshotChunkRequest, async ({ body }) => {
        const chunk = await cluster.group(leader).serveChunk(body)
        return isLying ? { ...chunk, bytes: chunk.bytes.subarray(1) } : chunk
      })
    await cluster.start(behind)
    await cluster.clock.until(() => counterOf(cluster, behind, 'snapshots_failed') > 0)
    t.equal(cluster.group(behind).status().failed, null, 'the replica goes on')
    isLying = false
    await isEqual(t, cluster)
    t.equal(counterOf(cluster, behind, 'snapshots_installed'), 1)
  }
)

t.test('X-39 parts that are not there are refused', async (t) => {
  const { cluster, leader, behind } = await withOneBehind()
  await cluster.start(behind)
  await isEqual(t, cluster)
  const group = cluster.group(leader)
  const unknown = { group: DEFAULT_GROUP, sha256: new Uint8Array(32), number: 0 }
  await t.rejects(group.serveChunk(unknown), { code: 'ERR_SKEIN_NOT_FOUND' })
})

t.test('R-P12 R-S12 X-52 no room for a snapshot is an error of the transfer', async (t) => {
  const { cluster, leader, behind } = await withOneBehind({ paddingBytes: 100_000 })
  cluster.node(leader).engineDisk.setCapacityBytes(60_000)
  await cluster.start(behind)
  await cluster.clock.until(() => counterOf(cluster, leader, 'snapshots_failed') > 1)
  t.equal(cluster.group(leader).status().failed, null)
  await cluster.written(leader, 'set goes on')
  cluster.node(leader).engineDisk.setCapacityBytes(1e9)
  cluster.node(behind).engineDisk.setCapacityBytes(60_000)
  await cluster.clock.until(() => counterOf(cluster, behind, 'snapshots_failed') > 1)
  t.equal(cluster.group(behind).status().failed, null)
  t.equal(counterOf(cluster, behind, 'snapshots_installed'), 0)
  cluster.node(behind).engineDisk.setCapacityBytes(1e9)
  await cluster.clock.until(() => isThere(cluster, behind))
  await isEqual(t, cluster)
})

t.test('R-S09 the leader dies while its snapshot is on its way', async (t) => {
  const { cluster, leader, behind } = await withOneBehind({ paddingBytes })
  await cluster.start(behind)
  const received = () => counterOf(cluster, behind, 'snapshot_chunks_received')
  await cluster.clock.until(() => received() >= partsMin / 2)
  cluster.crash(leader)
  await cluster.untilLeader()
  await cluster.clock.until(() => isThere(cluster, behind))
  await cluster.start(leader)
  await isEqual(t, cluster)
})

t.test('R-P16 a crash at each moment of an install leaves the old or the new', async (t) => {
  const fates = { again: 0, kept: 0 }
  for (let ms = 0; ms < 24; ms++) {
    const seed = ms + 1
    const { cluster, behind } = await withOneBehind({ syncLatencyMs: 3, seed, writes: 24 })
    await cluster.start(behind)
    await cluster.clock.until(() => counterOf(cluster, behind, 'snapshot_chunks_received') > 0)
    await cluster.clock.advance(ms / 2)
    const wasInstalled = counterOf(cluster, behind, 'snapshots_installed') > 0
    cluster.crash(behind)
    await cluster.start(behind)
    await cluster.untilCaughtUp()
    t.equal(new Set(await cluster.hashes()).size, 1, `crash after ${ms / 2} ms`)
    const isAgain = counterOf(cluster, behind, 'snapshots_installed') > 0
    if (wasInstalled) t.notOk(isAgain, 'what was installed stays')
    fates[isAgain ? 'again' : 'kept']++
  }
  t.ok(fates.again > 3 && fates.kept > 3, JSON.stringify(fates))
})

t.test('R-S13 a newcomer arrives though more is written in a transfer than is kept', async (t) => {
  const consensus = { logEntriesMax: 2 }
  const { cluster, leader, behind } = await withOneBehind({ paddingBytes, consensus })
  let writes = 0
  let isOver = false
  let longestMs = 0
  const writing = (async () => {
    while (!isOver) {
      const since = cluster.clock.now()
      await cluster.write(leader, `set s${writes++} 1`)
      longestMs = Math.max(longestMs, cluster.clock.now() - since)
    }
  })()
  await cluster.start(behind)
  await cluster.clock.until(() => {
    if (counterOf(cluster, behind, 'snapshots_installed') === 0) return false
    const { commitIndex } = cluster.group(leader).status()
    return cluster.group(behind).status().appliedIndex >= commitIndex - 2
  }, 20_000)
  const written = writes
  await cluster.clock.advance(500)
  t.ok(cluster.group(behind).status().appliedIndex >= written, 'it keeps up')
  isOver = true
  await cluster.clock.settle(writing)
  await isEqual(t, cluster)
  t.equal(counterOf(cluster, behind, 'snapshots_installed'), 1)
  t.equal(counterOf(cluster, leader, 'snapshots_taken'), 1)
  t.ok(counterOf(cluster, leader, 'batches_paced') > 0, 'writes waited')
  t.ok(longestMs < 2 * pacedBatchMsMax, `none longer than ${longestMs} ms`)
  const { firstIndex, lastIndex } = cluster.group(leader).status()
  t.ok(lastIndex - firstIndex <= heldLogFactor * 2)
})

t.test('R-S13 who catches up and does not get on holds up no write for good', async (t) => {
  const consensus = { logEntriesMax: 6 }
  const { cluster, leader, behind } = await withOneBehind({ paddingBytes, consensus })
  await cluster.start(behind)
  await cluster.clock.until(() => counterOf(cluster, behind, 'snapshot_chunks_received') > 0)
  cluster.network.isolate(behind as NodeId)
  const since = cluster.clock.now()
  for (let i = 0; i < 60; i++) await cluster.written(leader, `set w${i} 1`)
  t.ok(cluster.clock.now() - since < 60 * 2 * pacedBatchMsMax)
  const { firstIndex, lastIndex } = cluster.group(leader).status()
  t.ok(lastIndex - firstIndex < heldLogFactor * 6 + 6, 'the log stays within its bounds')
  cluster.network.heal()
  await isEqual(t, cluster)
})

t.test('a newcomer gets a snapshot, and votes', async (t) => {
  const { cluster, leader, behind } = await withOneBehind()
  await cluster.start(behind)
  await cluster.start('d')
  const adding = cluster
    .node(leader)
    .driver.addNode(DEFAULT_GROUP, 'd' as NodeId, cluster.deadline())
  await cluster.clock.settle(adding)
  await isEqual(t, cluster)
  t.equal(counterOf(cluster, 'd', 'snapshots_installed'), 1)
  t.equal(cluster.group('d').status().voters.join(''), 'abcd')
})
