import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { SkeinClient } from '../../lib/client.js'
import { choosePorts } from '../../src/cli/demo/ports.js'
import {
  must,
  type PeerIdentity,
  StatementKinds,
  toNodeId,
  type WallMs
} from '../../src/core/index.js'
import {
  type AuthorityFiles,
  authorityFiles,
  createAuthority,
  issuePeer,
  type PeerFiles
} from '../../src/network/index.js'
import { type EngineName, engineNames, putText } from './engine.js'
import type { Mark } from './marks.js'
import type { NodeCounts } from './node-main.js'
import type { LeaderCounts, RaftSubject } from './subject.js'

const clusterName = 'bench'
const nodeIds = ['n1', 'n2', 'n3'] as const
const validity = { now: Date.now() as WallMs, days: 1 }
const nodeMain = new URL('./node-main.js', import.meta.url)
const startTimeoutMs = 60_000
const pollMs = 50
const timeoutMs = 30_000
const tableText = 'CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID'
const upsertText = 'INSERT INTO kv VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value'

/** Three nodes with mutual TLS, real files and fsync; clients with certificates of their own. */
export class OurCluster implements RaftSubject {
  readonly name: string
  readonly #engine: EngineName
  readonly #nodes: readonly ChildProcess[]
  readonly #access: PeerFiles & Pick<AuthorityFiles, 'caFile'>
  readonly #addresses: readonly string[]
  #clients: SkeinClient[] = []

  private constructor(
    engine: EngineName,
    nodes: readonly ChildProcess[],
    addresses: readonly string[],
    access: PeerFiles & Pick<AuthorityFiles, 'caFile'>
  ) {
    this.name = engine === engineNames.keyValue ? 'ours' : 'ours with SQLite'
    this.#engine = engine
    this.#nodes = nodes
    this.#addresses = addresses
    this.#access = access
  }

  /** @param isMarking for `takeMarks` */
  static async start(
    directory: string,
    engine: EngineName,
    isMarking = false
  ): Promise<OurCluster> {
    const certificates = join(directory, 'certs')
    await mkdir(directory)
    await createAuthority(certificates, clusterName, validity)
    const { caFile, gossipKeyFile } = authorityFiles(certificates)
    const ports = await choosePorts(nodeIds, 0)
    const addresses = nodeIds.map((id) => `127.0.0.1:${must(ports.get(id), id).cluster}`)
    const nodes: ChildProcess[] = []
    for (const [i, id] of nodeIds.entries()) {
      const peer: PeerIdentity = { kind: 'node', nodeId: toNodeId(id), clusterName }
      const files = await issuePeer(certificates, { peer }, validity)
      const config = {
        node: { id, dataDirectory: join(directory, id), listenAddress: addresses[i] },
        cluster: {
          name: clusterName,
          bootstrap: { voters: nodeIds },
          seeds: addresses.filter((_, other) => other !== i)
        },
        security: { ...files, caFile, gossipKeyFile },
        // As etcd's: the processors are for the writes, not for elections under load.
        consensus: {
          heartbeatIntervalMs: 100,
          electionTimeoutMinMs: 1_000,
          electionTimeoutMaxMs: 2_000
        }
      }
      const args = [JSON.stringify(config), engine, ...(isMarking ? ['marking'] : [])]
      nodes.push(fork(nodeMain, args, { execArgv: [] }))
    }
    const client: PeerIdentity = { kind: 'client', name: 'bench', clusterName }
    const files = await issuePeer(certificates, { peer: client }, validity)
    const cluster = new OurCluster(engine, nodes, addresses, { ...files, caFile })
    try {
      await cluster.#untilLed()
      await cluster.connect(1)
      if (engine === engineNames.sqlite) await cluster.#client(0).query(tableText)
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  get pids(): readonly number[] {
    return this.#nodes.map(({ pid }) => must(pid, 'pid'))
  }

  async connect(connections: number): Promise<void> {
    await this.#disconnect()
    const { certificateFile, keyFile, caFile } = this.#access
    const isSqlite = this.#engine === engineNames.sqlite
    this.#clients = await Promise.all(
      Array.from({ length: connections }, () =>
        SkeinClient.connect({
          clusterName,
          addresses: [...this.#addresses],
          certificateFile,
          keyFile,
          caFile,
          ...(isSqlite ? {} : { classify: () => StatementKinds.Write })
        })
      )
    )
  }

  async put(client: number, key: string, value: Uint8Array): Promise<void> {
    const sql = this.#engine === engineNames.sqlite ? upsertText : putText
    await this.#client(client).query(sql, [key, value], { timeoutMs })
  }

  async leaderCounts(): Promise<LeaderCounts> {
    const leader = (await this.#counts()).find(({ isLeader }) => isLeader)
    return must(leader, 'a leader')
  }

  /** What the nodes have noted since the last call. */
  async takeMarks(): Promise<{
    readonly leader: readonly Mark[]
    readonly followers: readonly (readonly Mark[])[]
  }> {
    const counts = await this.#counts()
    const marks = await this.#ask<readonly Mark[]>('marks')
    const leads = counts.findIndex(({ isLeader }) => isLeader)
    return { leader: marks[leads] ?? [], followers: marks.filter((_, i) => i !== leads) }
  }

  async stop(): Promise<void> {
    await this.#disconnect()
    for (const node of this.#nodes) node.kill('SIGKILL')
    await Promise.all(this.#nodes.map((node) => node.signalCode ?? once(node, 'exit')))
  }

  #client(number: number): SkeinClient {
    return must(this.#clients[number % this.#clients.length], 'a client')
  }

  async #disconnect(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
    this.#clients = []
  }

  #counts(): Promise<NodeCounts[]> {
    return this.#ask('counts')
  }

  #ask<Answer>(what: 'counts' | 'marks'): Promise<Answer[]> {
    return Promise.all(
      this.#nodes.map(async (node) => {
        node.send(what)
        const [answer] = await once(node, 'message')
        return answer as Answer
      })
    )
  }

  async #untilLed(): Promise<void> {
    const deadline = performance.now() + startTimeoutMs
    while (!(await this.#counts()).some(({ isLeader }) => isLeader)) {
      if (performance.now() > deadline) throw new Error('our cluster has no leader')
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }
}
