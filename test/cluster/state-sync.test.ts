/** Real sockets and disks: 64 MiB over a connection that breaks, to a node that starts anew. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { counterEngine } from '../../examples/embed.js'
import {
  ClusterNetworkManager,
  type NodeId,
  type StreamNetwork,
  type VersionVector
} from '../../lib/index.js'
import { type ByteStream, silentLogger } from '../../src/core/index.js'
import { nodeClock, PlainStreamNetwork } from '../../src/runtime/index.js'
import { until } from '../support/process-cluster.js'

const chunkBytes = 256 * 1024
const sizeBytes = 64 * 1024 * 1024 + 4_321
const timeoutMs = 60_000

/** Streams of one node, all of which can be cut at once. */
class CuttableStreams {
  readonly network: StreamNetwork
  readonly #open = new Set<ByteStream>()

  constructor(id: string) {
    const self = { kind: 'node', nodeId: id as NodeId, clusterName: 'skein' } as const
    const limits = { handshakeTimeoutMs: 5_000, handshakesMax: 64 }
    const plain = new PlainStreamNetwork(
      { clock: nodeClock(), logger: silentLogger },
      { self, ...limits }
    )
    this.network = {
      listen: (address, onStream) =>
        plain.listen(address, (stream) => {
          this.#open.add(stream)
          onStream(stream)
        }),
      pipe: (address, deadline) => plain.pipe(address, deadline),
      dial: async (address, options) => {
        const stream = await plain.dial(address, options)
        this.#open.add(stream)
        return stream
      }
    }
  }

  cut(): void {
    for (const stream of this.#open) stream.destroy()
    this.#open.clear()
  }
}

function flock(t: Test) {
  const directory = t.testdir()
  const running = new Map<string, ClusterNetworkManager>()
  t.teardown(async () => {
    for (const manager of running.values()) await manager.stop({ drain: false })
  })
  return {
    directoryOf: (id: string) => join(directory, id),
    async start(id: string, streams: CuttableStreams): Promise<ClusterNetworkManager> {
      const seeds = [...running].filter(([other]) => other !== id)
      const manager = ClusterNetworkManager.create({
        preset: 'local',
        ...(id === 'goose-1' ? { engine: counterEngine } : {}),
        config: {
          node: { id, listenAddress: '127.0.0.1:0', dataDirectory: join(directory, id) },
          cluster: {
            seeds: seeds.map(([, other]) => other.getClusterView().address),
            ...(id === 'goose-1' ? { bootstrap: { voters: ['goose-1'] } } : {})
          },
          sync: { chunkBytes },
          security: { insecure: true }
        },
        overrides: { streams: streams.network }
      })
      await manager.start()
      running.set(id, manager)
      return manager
    }
  }
}

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

t.test('64 MiB arrive over cut connections and restarts of the receiver', async (t) => {
  const { start, directoryOf } = flock(t)
  const streams = new CuttableStreams('goose-1')
  const sender = await start('goose-1', streams)
  mkdirSync(join(directoryOf('goose-1'), 'files'), { recursive: true })
  const content = randomBytes(sizeBytes)
  writeFileSync(join(directoryOf('goose-1'), 'files', 'flock.bin'), content)

  let receiver = await start('goose-2', new CuttableStreams('goose-2'))
  let cuts = 0
  let restarts = 0
  let received = 0
  for (;;) {
    const stop = new AbortController()
    let doneMax = Number.POSITIVE_INFINITY
    let cutAt = 0
    const fetched = receiver.stateSync.fetchFile(sender.nodeId, 'flock.bin', {
      signal: stop.signal,
      onProgress({ doneBytes, resumedBytes }) {
        if (doneMax === Number.POSITIVE_INFINITY) doneMax = resumedBytes + 16 * 1024 * 1024
        if (doneBytes >= doneMax && restarts < 3) stop.abort()
        if (doneBytes < cutAt) return
        cutAt = doneBytes + 5 * 1024 * 1024
        cuts++
        streams.cut()
      }
    })
    const outcome = await fetched.then(
      ({ state }) => state,
      ({ code }) => String(code)
    )
    received += receiver.getAllMetrics().state_sync?.chunks_received ?? 0
    if (outcome === 'done') break
    t.equal(outcome, 'ERR_SKEIN_CANCELLED')
    restarts++
    await receiver.stop({ drain: false })
    receiver = await start('goose-2', new CuttableStreams('goose-2'))
  }
  const arrived = readFileSync(join(directoryOf('goose-2'), 'files', 'flock.bin'))
  t.equal(digestOf(arrived), digestOf(content))
  t.equal(restarts, 3)
  t.ok(cuts >= 8, `${cuts} cuts`)
  t.equal(received, Math.ceil(sizeBytes / chunkBytes), 'each chunk was written once')
  t.same(readdirSync(join(directoryOf('goose-2'), 'files-incoming')), [])
})

t.test('a file is sent to whom takes it; tenants and their states follow', async (t) => {
  const { start, directoryOf } = flock(t)
  const sender = await start('goose-1', new CuttableStreams('goose-1'))
  const receiver = await start('goose-2', new CuttableStreams('goose-2'))
  mkdirSync(join(directoryOf('goose-1'), 'files'), { recursive: true })
  const content = randomBytes(1_000_000)
  writeFileSync(join(directoryOf('goose-1'), 'files', 'egg'), content)
  receiver.stateSync.acceptFiles(({ file }) => `${file}-of-another`)
  const { state } = await sender.stateSync.sendFile(receiver.nodeId, 'egg')
  t.equal(state, 'done')
  const arrived = readFileSync(join(directoryOf('goose-2'), 'files', 'egg-of-another'))
  t.equal(digestOf(arrived), digestOf(content))

  const input = { tenant: 'acme', services: ['nests'], clients: 2, sizeBytes: 9 }
  sender.stateSync.tenants.set(input)
  await receiver.stateSync.tenants.exchange(sender.nodeId)
  t.match(receiver.stateSync.tenants.get('acme'), input)

  const whole = new Uint8Array(2_000_000).fill(7)
  const nests = new Map<NodeId, Uint8Array>([[sender.nodeId, whole]])
  const version = { 'goose-1': 1 }
  for (const manager of [sender, receiver]) {
    const own = () => nests.get(manager.nodeId)
    manager.stateSync.registerService('nests', {
      version: (): VersionVector => (own() === undefined ? {} : version),
      async snapshot() {
        const data = own()
        if (data === undefined) return null
        return { mode: 'full', version, changedAt: 0 as never, data }
      },
      async merge(_tenant, { data }) {
        nests.set(manager.nodeId, data)
        return true
      }
    })
  }
  const report = await receiver.stateSync.syncService(sender.nodeId, 'nests', 'acme')
  t.match(report, { result: 'merged', asFile: true, bytesReceived: 2_000_000 })
  t.equal(digestOf(nests.get(receiver.nodeId) ?? new Uint8Array()), digestOf(whole))

  receiver.config.change({ sync: { bytesPerSecond: 5_000_000, chunksInFlightMax: 2 } })
  t.equal(receiver.config.current().sync.bytesPerSecond, 5_000_000)
  const isOver = async () => sender.stateSync.transfers().every(({ endedAt }) => endedAt !== null)
  await until('the sender is done too', timeoutMs, isOver)
})
