import { must } from '../../src/core/index.js'
import { EtcdCluster, type EtcdMember } from './etcd.js'
import type { EtcdClient } from './etcd-client.js'
import type { LeaderCounts, RaftSubject } from './subject.js'

/** Its own defaults. */
const timing = { heartbeatMs: 100, electionMs: 1_000 }

/** etcd asked at its leader, which is the best place. */
export class EtcdSubject implements RaftSubject {
  readonly name: string
  readonly #cluster: EtcdCluster
  #clients: EtcdClient[] = []

  private constructor(name: string, cluster: EtcdCluster) {
    this.name = name
    this.#cluster = cluster
  }

  static async start(file: string, directory: string, tls: boolean): Promise<EtcdSubject> {
    const cluster = await EtcdCluster.start(file, directory, { ...timing, tls })
    return new EtcdSubject(tls ? 'etcd with TLS' : 'etcd', cluster)
  }

  get pids(): readonly number[] {
    return this.#cluster.members.map(({ pid }) => pid)
  }

  async connect(connections: number): Promise<void> {
    this.#disconnect()
    const leader = await this.#leader()
    this.#clients = Array.from({ length: connections }, () => leader.client())
  }

  put(client: number, key: string, value: Uint8Array): Promise<void> {
    return must(this.#clients[client % this.#clients.length], 'a client').put(key, value)
  }

  async leaderCounts(): Promise<LeaderCounts> {
    const counts = must(await (await this.#leader()).counts(), 'counts')
    return { entries: counts.committed, syncs: counts.syncs, writes: null }
  }

  stop(): Promise<void> {
    this.#disconnect()
    return this.#cluster.stop()
  }

  #leader(): Promise<EtcdMember> {
    return this.#cluster.untilWhole()
  }

  #disconnect(): void {
    for (const client of this.#clients) client.close()
    this.#clients = []
  }
}
