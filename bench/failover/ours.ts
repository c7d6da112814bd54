import type { SkeinClient } from '../../lib/client.js'
import { type PresetName, resolveConfig } from '../../src/core/index.js'
import { connectTo, issueClient } from '../../test/support/process-clients.js'
import { ProcessCluster, pause, shippedEngine, until } from '../../test/support/process-cluster.js'
import { PacedWriter } from './paced-writer.js'
import type { FailoverSubject, Loss } from './subject.js'

const wholeTimeoutMs = 60_000
/** What a peer measured of many black holes is behind it after its newest 100 pings. */
const wellTimeoutMs = 240_000
const switchoverTimeoutMs = 5_000
const switchoverAttemptsMax = 40
const switchoverPauseMs = 250
const timeoutMs = 20_000
const writeEveryMs = 5

interface PeerVerdict {
  readonly verdict: { readonly status: string } | null
}

/** `skein node` processes with mutual TLS and SQLite, and a `SkeinClient` that knows them all. */
export class OurFailover implements FailoverSubject {
  readonly name = 'ours'
  readonly writer: PacedWriter
  readonly #cluster: ProcessCluster
  readonly #teardowns: readonly (() => unknown)[]
  #lost: { readonly id: string; readonly loss: Loss } | null = null
  #ledAgainAt: number | null = null

  private constructor(
    cluster: ProcessCluster,
    client: SkeinClient,
    teardowns: readonly (() => unknown)[]
  ) {
    this.#cluster = cluster
    this.#teardowns = teardowns
    cluster.onEvent((_, event) => {
      if (event.type !== 'LeaderChanged' || event.group !== 0 || event.leader === null) return
      if (this.#lost !== null && event.leader !== this.#lost.id) {
        this.#ledAgainAt ??= performance.now()
      }
    })
    this.writer = new PacedWriter(
      () => client.query('UPDATE counter SET n = n + 1', undefined, { timeoutMs }),
      writeEveryMs
    )
  }

  static async start(preset: PresetName): Promise<OurFailover> {
    const teardowns: (() => unknown)[] = []
    const { consensus, membership } = timingOf(preset)
    const owner = { teardown: (handler: () => unknown) => void teardowns.unshift(handler) }
    try {
      const cluster = await ProcessCluster.start(owner, 3, {
        consensus,
        membership,
        engine: shippedEngine
      })
      const addresses = cluster.ids.map((id) => `localhost:${cluster.port(id)}`)
      const files = await issueClient(cluster, 'failover')
      const client = await connectTo(cluster, 'n1', files, { addresses })
      teardowns.unshift(() => client.close())
      await client.query('CREATE TABLE counter (n INTEGER NOT NULL)')
      await client.query('INSERT INTO counter VALUES (0)')
      return new OurFailover(cluster, client, teardowns)
    } catch (error) {
      for (const teardown of teardowns) await teardown()
      throw error
    }
  }

  get ledAgainAt(): number | null {
    return this.#ledAgainAt
  }

  async untilWhole(): Promise<void> {
    const { supervisor } = this.#cluster
    await supervisor.untilReady(wholeTimeoutMs)
    await this.#cluster.leader(this.#cluster.ids, wholeTimeoutMs)
    for (const id of this.#cluster.ids) await supervisor.untilCaughtUp(id, wholeTimeoutMs)
  }

  /** Nobody holds another one ill, and would not let it lead. */
  async untilWell(): Promise<void> {
    await until('every node judges the others well', wellTimeoutMs, async () => {
      const peers = await Promise.all(this.#cluster.ids.map((id) => this.#peersOf(id)))
      return peers.flat().every(({ verdict }) => verdict?.status === 'healthy')
    })
  }

  async #peersOf(id: string): Promise<readonly PeerVerdict[]> {
    const outcome = await this.#cluster.admin(id).get('/v1/health/peers', timeoutMs)
    if (outcome.kind !== 'answer') throw new Error(`no peers: ${JSON.stringify(outcome)}`)
    return (outcome.body as { readonly peers: readonly PeerVerdict[] }).peers
  }

  async lose(loss: Loss): Promise<void> {
    const id = await this.#cluster.leader()
    this.#ledAgainAt = null
    this.#lost = { id, loss }
    const node = this.#cluster.node(id)
    if (loss === 'kill -9') node.kill()
    else if (loss === 'black hole') this.#cluster.pause(id)
    else if (loss === 'stop') await node.stop()
    else await this.#switchover(id)
  }

  async mend(): Promise<void> {
    const lost = this.#lost
    this.#lost = null
    if (lost === null || lost.loss === 'switchover') return
    if (lost.loss === 'black hole') {
      this.#cluster.resume(lost.id)
      return
    }
    const node = this.#cluster.node(lost.id)
    await node.exited()
    await node.start()
  }

  async stop(): Promise<void> {
    this.writer.stop()
    if (this.#lost?.loss === 'black hole') this.#cluster.resume(this.#lost.id)
    for (const teardown of this.#teardowns) await teardown()
  }

  /** It may be refused, or leadership lost meanwhile, where the machine is busy. */
  async #switchover(first: string): Promise<void> {
    const body = { group: 0, timeoutMs: switchoverTimeoutMs }
    for (let attempt = 1, id = first; ; attempt++, id = await this.#cluster.leader()) {
      const admin = this.#cluster.admin(id)
      const outcome = await admin.post('/v1/switchover', body, 2 * switchoverTimeoutMs)
      if (outcome.kind === 'answer') return
      if (attempt === switchoverAttemptsMax) {
        throw new Error(`no switchover: ${JSON.stringify(outcome)}`)
      }
      await pause(switchoverPauseMs)
    }
  }
}

/** Written out, for the nodes' own preset is another. */
function timingOf(preset: PresetName) {
  const code = {
    node: { id: 'n1', dataDirectory: 'unused' },
    cluster: { bootstrap: { voters: ['n1'] } },
    security: { insecure: true }
  }
  return resolveConfig({ preset, code })
}
