import { must } from '../../src/core/index.js'
import { EtcdCluster, type EtcdMember } from '../raft/etcd.js'
import type { EtcdClient } from '../raft/etcd-client.js'
import { PacedWriter } from './paced-writer.js'
import type { FailoverSubject, Loss } from './subject.js'

const writeEveryMs = 5
const value = Buffer.from('value')

export interface EtcdTiming {
  readonly heartbeatMs: number
  readonly electionMs: number
}

/** etcd asked at the members that follow, in turn, which is the best that a client can do. */
export class EtcdFailover implements FailoverSubject {
  readonly name: string
  readonly writer: PacedWriter
  readonly ledAgainAt = null
  readonly #cluster: EtcdCluster
  readonly #clients = new Map<EtcdMember, EtcdClient>()
  #leader: EtcdMember | null = null
  #lost: { readonly member: EtcdMember; readonly loss: Loss } | null = null
  #turn = 0

  private constructor(name: string, cluster: EtcdCluster) {
    this.name = name
    this.#cluster = cluster
    this.writer = new PacedWriter(() => this.#write(), writeEveryMs)
  }

  static async start(
    file: string,
    directory: string,
    { heartbeatMs, electionMs }: EtcdTiming
  ): Promise<EtcdFailover> {
    const options = { heartbeatMs, electionMs, tls: false }
    const cluster = await EtcdCluster.start(file, directory, options)
    const subject = new EtcdFailover(`etcd ${heartbeatMs}/${electionMs}`, cluster)
    await subject.untilWhole()
    return subject
  }

  async untilWhole(): Promise<void> {
    this.#leader = await this.#cluster.untilWhole()
  }

  /** It judges nobody by what was. */
  async untilWell(): Promise<void> {}

  async lose(loss: Loss): Promise<void> {
    const member = must(this.#leader, 'a leader')
    this.#lost = { member, loss }
    if (loss === 'kill -9') member.signal('SIGKILL')
    else if (loss === 'black hole') member.signal('SIGSTOP')
    else if (loss === 'stop') await member.end('SIGTERM')
    else await this.#moveFrom(member)
  }

  async mend(): Promise<void> {
    const lost = this.#lost
    this.#lost = null
    if (lost === null || lost.loss === 'switchover') return
    if (lost.loss === 'black hole') {
      lost.member.signal('SIGCONT')
      return
    }
    if (lost.loss === 'kill -9') await lost.member.end('SIGKILL')
    lost.member.start()
  }

  async stop(): Promise<void> {
    this.writer.stop()
    for (const client of this.#clients.values()) client.close()
    await this.#cluster.stop()
  }

  #write(): Promise<void> {
    const asked = this.#cluster.members.filter((member) => member !== this.#leader)
    return this.#client(must(asked[this.#turn++ % asked.length], 'a follower')).put('key', value)
  }

  /** To whichever of the others comes first. */
  async #moveFrom(member: EtcdMember): Promise<void> {
    const target = must(
      this.#cluster.members.find((one) => one !== member),
      'a target'
    )
    const { serverId } = must(await target.counts(), 'counts of the target')
    await this.#client(member).moveLeader(serverId)
  }

  #client(member: EtcdMember): EtcdClient {
    const known = this.#clients.get(member)
    if (known !== undefined && !known.isClosed) return known
    const client = member.client()
    this.#clients.set(member, client)
    return client
  }
}
