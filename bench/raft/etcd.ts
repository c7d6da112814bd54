import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, mkdir, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { choosePorts, type NodePorts } from '../../src/cli/demo/ports.js'
import { must } from '../../src/core/index.js'
import { EtcdClient } from './etcd-client.js'

export interface EtcdOptions {
  readonly heartbeatMs: number
  readonly electionMs: number
  /** TLS 1.3 with certificates that etcd makes itself, between members and to clients. */
  readonly tls: boolean
}

const startTimeoutMs = 60_000
const pollMs = 20
const askTimeoutMs = 2_000
const names = ['e1', 'e2', 'e3'] as const

/** The program, or null where there is none on the path. */
export async function findEtcd(): Promise<string | null> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, 'etcd')
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false
    )
    if (isThere) return file
  }
  return null
}

export interface EtcdCounts {
  readonly isLeader: boolean
  /** As the member itself writes it, in hexadecimal. */
  readonly serverId: string
  readonly committed: number
  readonly syncs: number
}

/** One member in a process of its own. */
export class EtcdMember {
  readonly name: string
  readonly #file: string
  readonly #args: readonly string[]
  readonly #clientUrl: string
  readonly #metricsUrl: string
  #child: ChildProcess | null = null
  #exited: Promise<unknown> = Promise.resolve()

  constructor(
    file: string,
    name: string,
    args: readonly string[],
    urls: { readonly client: string; readonly metrics: string }
  ) {
    this.#file = file
    this.name = name
    this.#args = args
    this.#clientUrl = urls.client
    this.#metricsUrl = urls.metrics
  }

  get pid(): number {
    return must(this.#child?.pid, `${this.name} runs`)
  }

  start(): void {
    const child = spawn(this.#file, this.#args, { stdio: 'ignore' })
    this.#child = child
    this.#exited = once(child, 'exit')
  }

  /** A connection of its own. */
  client(): EtcdClient {
    return new EtcdClient(this.#clientUrl)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#child?.kill(signal)
    await this.#exited
    this.#child = null
  }

  /** Null when it does not answer. */
  async counts(): Promise<EtcdCounts | null> {
    try {
      const signal = AbortSignal.timeout(askTimeoutMs)
      const text = await (await fetch(`${this.#metricsUrl}/metrics`, { signal })).text()
      const value = (name: string) =>
        Number(new RegExp(`^${name} ([0-9.e+]+)$`, 'm').exec(text)?.[1] ?? Number.NaN)
      return {
        isLeader: value('etcd_server_is_leader') === 1,
        serverId: /^etcd_server_id\{server_id="([0-9a-f]+)"\} 1$/m.exec(text)?.[1] ?? '',
        committed: value('etcd_server_proposals_committed_total'),
        syncs: value('etcd_disk_wal_fsync_duration_seconds_count')
      }
    } catch {
      return null
    }
  }
}

/** Three members on this machine, with their data on the same file system as ours. */
export class EtcdCluster {
  readonly members: readonly EtcdMember[]
  readonly #directory: string

  private constructor(directory: string, members: readonly EtcdMember[]) {
    this.#directory = directory
    this.members = members
  }

  static async start(file: string, directory: string, options: EtcdOptions): Promise<EtcdCluster> {
    await mkdir(directory)
    const ports = await choosePorts(names, 0)
    const metricsPorts = await choosePorts(names, 0)
    const members = names.map((name) => {
      const args = argsOf(name, ports, directory, options)
      const client = urlOf(options, must(ports.get(name), name).admin)
      const metrics = `http://127.0.0.1:${must(metricsPorts.get(name), name).admin}`
      return new EtcdMember(file, name, [...args, `--listen-metrics-urls=${metrics}`], {
        client,
        metrics
      })
    })
    const cluster = new EtcdCluster(directory, members)
    for (const member of members) member.start()
    try {
      await cluster.untilWhole()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** All answer, and one leads. */
  async untilWhole(): Promise<EtcdMember> {
    const deadline = performance.now() + startTimeoutMs
    while (performance.now() < deadline) {
      const counts = await Promise.all(this.members.map((member) => member.counts()))
      const leaders = this.members.filter((_, i) => counts[i]?.isLeader)
      const [leader] = leaders
      if (leader !== undefined && leaders.length === 1 && !counts.includes(null)) return leader
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
    throw new Error('etcd has no leader')
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.end('SIGKILL')))
    await rm(this.#directory, { recursive: true, force: true })
  }
}

const urlOf = ({ tls }: EtcdOptions, port: number): string =>
  `${tls ? 'https' : 'http'}://127.0.0.1:${port}`

function argsOf(
  name: string,
  ports: ReadonlyMap<string, NodePorts>,
  directory: string,
  options: EtcdOptions
): string[] {
  const own = must(ports.get(name), name)
  const peerUrl = urlOf(options, own.cluster)
  const clientUrl = urlOf(options, own.admin)
  const all = names.map((one) => `${one}=${urlOf(options, must(ports.get(one), one).cluster)}`)
  return [
    `--name=${name}`,
    `--data-dir=${join(directory, name)}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--initial-cluster=${all.join(',')}`,
    '--initial-cluster-state=new',
    `--heartbeat-interval=${options.heartbeatMs}`,
    `--election-timeout=${options.electionMs}`,
    '--logger=zap',
    '--log-level=error',
    ...(options.tls ? ['--auto-tls', '--peer-auto-tls'] : [])
  ]
}
