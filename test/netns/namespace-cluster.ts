import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdminClient, type Outcome } from '../../src/cli/admin-client.js'
import type { QueryAnswer } from '../../src/cli/query-answer.js'
import type { ClusterAnswer } from '../../src/cli/status-command.js'
import { must, type NodeId, type WallMs } from '../../src/core/index.js'
import { authorityFiles, createAuthority, issuePeer } from '../../src/network/index.js'
import { mainFile } from '../support/main-file.js'
import { until } from '../support/process-cluster.js'
import { Namespaces } from './namespaces.js'

const clusterName = 'hosts'
const port = 7946
const startTimeoutMs = 60_000

export interface QueryChoices {
  readonly timeoutMs?: number
  readonly priority?: 'critical' | 'high' | 'normal' | 'low'
  readonly consistency?: 'linearizable' | 'leader' | 'local'
}

/** Real `skein node` processes, each in a network namespace of its own. */
export class NamespaceCluster {
  readonly namespaces: Namespaces
  readonly ids: readonly string[]
  readonly #directory: string
  #token = ''
  readonly #children: ChildProcess[] = []
  readonly #admins = new Map<string, AdminClient>()

  static async start(count: number): Promise<NamespaceCluster> {
    const namespaces = await Namespaces.create(count)
    const directory = await mkdtemp(join(tmpdir(), 'skein-hosts-'))
    const cluster = new NamespaceCluster(namespaces, directory, count)
    try {
      await cluster.#start()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  private constructor(namespaces: Namespaces, directory: string, count: number) {
    this.namespaces = namespaces
    this.#directory = directory
    this.ids = Array.from({ length: count }, (_, i) => `n${i + 1}`)
  }

  hostOf(id: string): number {
    return this.ids.indexOf(id) + 1
  }

  others(...except: string[]): string[] {
    return this.ids.filter((id) => !except.includes(id))
  }

  query(id: string, sql: string, choices: QueryChoices = {}): Promise<Outcome> {
    const timeoutMs = choices.timeoutMs ?? 10_000
    return this.#admin(id).post('/v1/query', { sql, ...choices, timeoutMs }, timeoutMs + 2_000)
  }

  /** @throws Error when the node did not do it */
  async run(id: string, sql: string, choices: QueryChoices = {}): Promise<QueryAnswer> {
    const outcome = await this.query(id, sql, choices)
    if (outcome.kind === 'answer') return outcome.body as QueryAnswer
    throw new Error(`${id} did not run ${sql}: ${JSON.stringify(outcome)}`)
  }

  async get<T>(id: string, path: string): Promise<T> {
    const outcome = await this.#admin(id).get(path, 5_000)
    if (outcome.kind === 'answer') return outcome.body as T
    throw new Error(`${id} does not answer ${path}: ${JSON.stringify(outcome)}`)
  }

  async post<T>(id: string, path: string, body: unknown): Promise<T> {
    const outcome = await this.#admin(id).post(path, body, 10_000)
    if (outcome.kind === 'answer') return outcome.body as T
    throw new Error(`${id} does not answer ${path}: ${JSON.stringify(outcome)}`)
  }

  view(id: string): Promise<ClusterAnswer> {
    return this.get(id, '/v1/cluster')
  }

  /** Counts the node's events of a type from now on; `stop` answers how many came. */
  async countEvents(id: string, type: string): Promise<{ stop(): number }> {
    const controller = new AbortController()
    const response = await fetch(`${this.#admin(id).url}/v1/events`, {
      headers: { authorization: `Bearer ${this.#token}` },
      signal: controller.signal
    })
    let count = 0
    const follow = async () => {
      const decoder = new TextDecoder()
      for await (const chunk of must(response.body, 'a body')) {
        count += decoder.decode(chunk as Uint8Array).split(`event: ${type}\n`).length - 1
      }
    }
    follow().catch((error: Error) => {
      if (!controller.signal.aborted) throw error
    })
    return {
      stop() {
        controller.abort()
        return count
      }
    }
  }

  async metric(id: string, category: string, name: string): Promise<number> {
    const metrics = await this.get<Record<string, Record<string, number>>>(id, '/v1/metrics')
    return must(metrics[category]?.[name], `${category}.${name}`)
  }

  /** Who leads the group of the data: all of `among` agree on it, in one term. */
  async leader(among: readonly string[] = this.ids, timeoutMs = startTimeoutMs): Promise<string> {
    let leader: string | null = null
    await until('one leader that all know', timeoutMs, async () => {
      const groups = (await Promise.all(among.map((id) => this.view(id)))).map(
        // There is none before the control group has founded it.
        ({ groups }) => groups.find((group) => !isControl(group))
      )
      leader = groups[0]?.leader ?? null
      const terms = new Set(groups.map((group) => `${group?.term} ${group?.leader}`))
      return leader !== null && terms.size === 1 && among.includes(leader)
    })
    return must<string>(leader, 'leader')
  }

  /** Who leads the control group, in the newest term that any node knows. */
  async coordinator(): Promise<string> {
    let coordinator: string | null = null
    await until('a leader of the control group', startTimeoutMs, async () => {
      const views = await Promise.all(this.ids.map((id) => this.view(id)))
      const replicas = views.flatMap(({ groups }) => groups.filter(isControl))
      const [newest] = replicas.sort((a, b) => Number(b.term) - Number(a.term))
      coordinator = newest?.leader ?? null
      return coordinator !== null
    })
    return must<string>(coordinator, 'coordinator')
  }

  /** All see all as alive. */
  async whole(timeoutMs: number): Promise<void> {
    await until('all see all alive', timeoutMs, async () => {
      const views = await Promise.all(this.ids.map((id) => this.view(id)))
      return views.every(
        ({ members }) =>
          members.length === this.ids.length &&
          members.every(({ liveness, lifecycle }) => liveness === 'alive' && lifecycle === 'up')
      )
    })
  }

  async stop(): Promise<void> {
    for (const admin of this.#admins.values()) admin.close()
    for (const child of this.#children) child.kill('SIGKILL')
    await Promise.all(
      this.#children.map((child) =>
        child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null
      )
    )
    await this.namespaces.remove()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #start(): Promise<void> {
    const certificates = join(this.#directory, 'certs')
    const validity = { now: Date.now() as WallMs, days: 30 }
    await createAuthority(certificates, clusterName, validity)
    this.#token = (await readFile(authorityFiles(certificates).tokenFile, 'utf8')).trim()
    for (const id of this.ids) {
      const file = await this.#configure(id, certificates, validity)
      const args = [mainFile, 'node', '--config', file, '--log-level', 'error']
      const [command, all] = this.namespaces.within(this.hostOf(id), process.execPath, args)
      this.#children.push(spawn(command, all, { stdio: ['ignore', 'ignore', 'inherit'] }))
      const url = `http://${this.#addressOf(id)}:${port + 1}`
      this.#admins.set(id, new AdminClient({ url, token: this.#token, socketsMax: 32 }))
    }
    await this.whole(startTimeoutMs)
    await this.leader()
  }

  async #configure(
    id: string,
    certificates: string,
    validity: { readonly now: WallMs; readonly days: number }
  ): Promise<string> {
    const peer = { kind: 'node', nodeId: id as NodeId, clusterName } as const
    const { certificateFile, keyFile } = await issuePeer(certificates, { peer }, validity)
    const { caFile, gossipKeyFile, tokenFile } = authorityFiles(certificates)
    const dataDirectory = join(this.#directory, id)
    await mkdir(dataDirectory, { mode: 0o700 })
    const config = {
      preset: 'lan',
      node: { id, listenAddress: `${this.#addressOf(id)}:${port}`, dataDirectory },
      cluster: {
        name: clusterName,
        seeds: this.others(id).map((other) => `${this.#addressOf(other)}:${port}`),
        bootstrap: { voters: this.ids }
      },
      security: { certificateFile, keyFile, caFile, gossipKeyFile },
      admin: { listenAddress: `${this.#addressOf(id)}:${port + 1}`, tokenFile }
    }
    const file = join(this.#directory, `${id}.json`)
    await writeFile(file, JSON.stringify(config), { mode: 0o600 })
    return file
  }

  #addressOf(id: string): string {
    return this.namespaces.addressOf(this.hostOf(id))
  }

  #admin(id: string): AdminClient {
    return must(this.#admins.get(id), id)
  }
}

const isControl = ({ name }: ClusterAnswer['groups'][number]): boolean => name === 'control'
