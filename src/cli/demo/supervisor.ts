import { join } from 'node:path'
import {
  type ClusterEvent,
  CONTROL_GROUP,
  DEFAULT_GROUP,
  type GroupId,
  type GroupStatus,
  type PlacementView,
  type TransactionsView
} from '../../core/index.js'
import { AdminClient, type Outcome } from '../admin-client.js'
import { CliError } from '../exit-codes.js'
import { mainFile as ownMainFile } from '../main-file.js'
import type { ClusterAnswer } from '../status-command.js'
import { type ClientAccess, ClusterClient } from './cluster-client.js'
import { NodeProcess } from './node-process.js'
import { pause } from './pause.js'
import { choosePorts } from './ports.js'
import { type Workspace, writeEnvironment, writeNodeConfig } from './workspace.js'

export interface SupervisorHandlers {
  onEvent(nodeId: string, event: ClusterEvent): void
  /** It had ended, and serves again. */
  onStartedAgain?(nodeId: string): void
  onUnexpectedExit(nodeId: string, how: string): void
}

export interface NodeView {
  readonly id: string
  /** Null: the node does not answer. */
  readonly view: ClusterAnswer | null
}

/** Of `GET /v1/checksums`. */
export interface ReplicaChecksum {
  readonly group: number
  readonly index: number
  readonly hash: string
}

const askTimeoutMs = 2_000
/** Every table is read. */
const checksumTimeoutMs = 10_000
const pollIntervalMs = 100
const adminSockets = 4

/** The node processes of one cluster, from their start to their end. */
export class Supervisor {
  readonly nodes: readonly NodeProcess[]
  readonly #groups: number
  readonly #admins: ReadonlyMap<string, AdminClient>
  readonly #access: ClientAccess
  readonly #handlers: SupervisorHandlers

  private constructor(
    nodes: readonly NodeProcess[],
    { token, clientAccess, groups }: Workspace,
    handlers: SupervisorHandlers
  ) {
    this.#groups = groups
    this.#handlers = handlers
    this.nodes = nodes
    this.#access = clientAccess
    this.#admins = new Map(
      nodes.map(({ options: { id, admin: url } }) => [
        id,
        new AdminClient({ url, token, socketsMax: adminSockets })
      ])
    )
    // Last resort: whatever ends this process ends the nodes.
    process.on('exit', this.#killAll)
  }

  /** Chooses ports and writes configurations; nothing runs yet. */
  static async prepare(
    workspace: Workspace,
    firstPort: number,
    handlers: SupervisorHandlers,
    mainFile = ownMainFile
  ): Promise<Supervisor> {
    const ports = await choosePorts(workspace.nodeIds, firstPort)
    const nodes: NodeProcess[] = []
    for (const id of workspace.nodeIds) {
      const options = {
        id,
        mainFile,
        configFile: await writeNodeConfig(workspace, id, ports),
        logFile: join(workspace.directory, `${id}.log`),
        dataDirectory: join(workspace.directory, id),
        address: `127.0.0.1:${ports.get(id)?.cluster}`,
        admin: `http://127.0.0.1:${ports.get(id)?.admin}`
      }
      nodes.push(
        new NodeProcess(options, {
          onEvent: (node, event) => handlers.onEvent(node.options.id, event),
          onRestartDue: (node) => void startAgain(node, handlers),
          onUnexpectedExit: (node, how) => handlers.onUnexpectedExit(node.options.id, how)
        })
      )
    }
    const [first] = nodes
    if (first !== undefined) await writeEnvironment(workspace, first.options.admin, mainFile)
    return new Supervisor(nodes, workspace, handlers)
  }

  /** Resolves when every node serves and one leads. */
  async start(timeoutMs: number): Promise<void> {
    const starts = await Promise.allSettled(this.nodes.map((node) => node.start()))
    const failed = starts.find((start) => start.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    await this.untilReady(timeoutMs)
  }

  async untilReady(timeoutMs: number): Promise<void> {
    const isReady = async () => {
      const outcomes = await Promise.all(this.nodes.map(({ options }) => this.isReady(options.id)))
      return outcomes.every(Boolean)
    }
    if (await poll(isReady, timeoutMs)) return
    throw new CliError(`the nodes were not ready after ${timeoutMs / 1_000} s`)
  }

  async isReady(id: string): Promise<boolean> {
    const outcome = await this.#adminOf(id).get('/readyz', askTimeoutMs)
    return outcome.kind === 'answer'
  }

  /** Programs' own clients, over mutual TLS. */
  connectClients(count = this.nodes.length): Promise<ClusterClient> {
    const addresses = this.nodes.map(({ options }) => options.address)
    return ClusterClient.connect(addresses, this.#access, count)
  }

  /** One node after the other is asked until one answers. */
  askAny(ask: (admin: AdminClient, timeoutMs: number) => Promise<Outcome>): Promise<unknown> {
    return this.askUntil(ask, 0)
  }

  /** Again and again, what may be done twice. */
  async askUntil(
    ask: (admin: AdminClient, timeoutMs: number) => Promise<Outcome>,
    timeoutMs: number
  ): Promise<unknown> {
    let last: Outcome = { kind: 'notSent', reason: 'there is no node' }
    const isAnswered = async () => {
      for (const { options } of this.nodes) {
        last = await ask(this.#adminOf(options.id), askTimeoutMs)
        if (last.kind === 'answer') return true
      }
      return false
    }
    await poll(isAnswered, timeoutMs)
    return bodyOf(last)
  }

  views(): Promise<NodeView[]> {
    return Promise.all(
      this.nodes.map(async ({ options: { id } }) => ({ id, view: await this.viewOf(id) }))
    )
  }

  async viewOf(id: string): Promise<ClusterAnswer | null> {
    const outcome = await this.#adminOf(id).get('/v1/cluster', askTimeoutMs)
    return outcome.kind === 'answer' ? (outcome.body as ClusterAnswer) : null
  }

  /** Category, name, value; null when the node does not answer. */
  async metricsOf(id: string): Promise<Readonly<Record<string, Record<string, number>>> | null> {
    const outcome = await this.#adminOf(id).get('/v1/metrics', askTimeoutMs)
    return outcome.kind === 'answer'
      ? (outcome.body as Record<string, Record<string, number>>)
      : null
  }

  /** Resolves when the control group has a place for every group of the cluster. */
  async untilPlaced(timeoutMs: number): Promise<void> {
    const arePlaced = async () => {
      const placement = await this.askUntil(
        (admin, askMs) => admin.get('/v1/placement', askMs),
        timeoutMs
      )
      return (placement as PlacementView).groups.length === this.#groups
    }
    if (await poll(arePlaced, timeoutMs)) return
    throw new CliError(`not every group was placed after ${timeoutMs / 1_000} s`)
  }

  /** Resolves when each of the groups has a leader that is none of `except`. */
  async untilLed(
    groups: readonly GroupId[],
    except: string | null,
    timeoutMs: number
  ): Promise<boolean> {
    return poll(async () => {
      const views = await this.views()
      return groups.every((group) => {
        const leader = leaderAmong(views, group)
        return leader !== null && leader !== except
      })
    }, timeoutMs)
  }

  /** Whether the node has applied all that was committed in any group when this was asked. */
  async untilCaughtUp(id: string, timeoutMs: number): Promise<boolean> {
    let targets: ReadonlyMap<GroupId, number> | null = null
    return poll(async () => {
      const views = await this.views()
      targets ??= commitIndexes(views)
      const own = views.find((view) => view.id === id)
      const isThere = ([group, index]: [GroupId, number]) =>
        (groupOf(own, group)?.appliedIndex ?? -1) >= index
      return targets !== null && [...targets].every(isThere) && (await this.isReady(id))
    }, timeoutMs)
  }

  /**
   * Branches of transactions that are prepared and not decided, as all nodes together tell, as soon
   * as it is none; null: a node does not answer.
   */
  async untilNoneInDoubt(timeoutMs: number): Promise<number | null> {
    let found: number | null = null
    await poll(async () => {
      const counts = await Promise.all(this.nodes.map(({ options }) => this.#inDoubtAt(options.id)))
      found = counts.reduce(
        (sum, count) => (sum === null || count === null ? null : sum + count),
        0
      )
      return found === 0
    }, timeoutMs)
    return found
  }

  /**
   * Whether all replicas come to the same content; differing content at one index ends the wait.
   */
  async replicasIdentical(timeoutMs: number): Promise<boolean> {
    let isIdentical = false
    await poll(async () => {
      const answers = await Promise.all(
        this.nodes.map(({ options }) => this.#checksumsOf(options.id))
      )
      const texts = answers.map((replicas) => (replicas === null ? null : JSON.stringify(replicas)))
      isIdentical = texts[0] !== null && new Set(texts).size === 1
      return isIdentical || haveDiverged(answers)
    }, timeoutMs)
    return isIdentical
  }

  /** Starts a node again that has died, after a while; when it fails, its exit is told again. */
  async revive(id: string, afterMs: number, signal: AbortSignal): Promise<void> {
    const node = this.nodes.find(({ options }) => options.id === id)
    try {
      await pause(afterMs, signal)
    } catch {
      return
    }
    if (node !== undefined) await startAgain(node, this.#handlers)
  }

  /** One by one, so that each hands over to those that still run. */
  async stop(): Promise<void> {
    for (const node of this.nodes) await node.stop()
    for (const admin of this.#admins.values()) admin.close()
    process.off('exit', this.#killAll)
  }

  kill(): void {
    this.#killAll()
  }

  readonly #killAll = () => {
    for (const node of this.nodes) node.kill()
  }

  async #checksumsOf(id: string): Promise<readonly ReplicaChecksum[] | null> {
    const outcome = await this.#adminOf(id).get('/v1/checksums', checksumTimeoutMs)
    if (outcome.kind !== 'answer') return null
    return (outcome.body as { readonly replicas: readonly ReplicaChecksum[] }).replicas
  }

  async #inDoubtAt(id: string): Promise<number | null> {
    const outcome = await this.#adminOf(id).get('/v1/transactions', askTimeoutMs)
    return outcome.kind === 'answer' ? (outcome.body as TransactionsView).inDoubt : null
  }

  #adminOf(id: string): AdminClient {
    return this.#admins.get(id) as AdminClient
  }
}

/** A node that does not come up is told of as one that ended. */
async function startAgain(node: NodeProcess, handlers: SupervisorHandlers): Promise<void> {
  const { id } = node.options
  try {
    await node.start()
    handlers.onStartedAgain?.(id)
  } catch (error) {
    if (!node.isStopping) handlers.onUnexpectedExit(id, (error as Error).message)
  }
}

/** Who says of itself that it leads the group, in the highest term that anyone knows. */
export function leaderAmong(
  views: readonly NodeView[],
  group: GroupId = DEFAULT_GROUP
): string | null {
  let leader: string | null = null
  let term = -1
  for (const node of views) {
    const status = groupOf(node, group)
    if (status === undefined || status.role !== 'leader' || status.term <= term) continue
    leader = node.id
    term = status.term
  }
  return leader
}

/** With data, that any of the nodes has a replica of; rising. */
export function dataGroupsOf(views: readonly NodeView[]): GroupId[] {
  const groups = views.flatMap(({ view }) => view?.groups.map(({ group }) => group) ?? [])
  return [...new Set(groups)].filter((group) => group !== CONTROL_GROUP).sort((a, b) => a - b)
}

/** Null: a group has no leader. */
function commitIndexes(views: readonly NodeView[]): ReadonlyMap<GroupId, number> | null {
  const indexes = new Map<GroupId, number>()
  for (const group of dataGroupsOf(views)) {
    const leader = leaderAmong(views, group)
    const status = groupOf(
      views.find(({ id }) => id === leader),
      group
    )
    if (status === undefined) return null
    indexes.set(group, status.commitIndex)
  }
  return indexes
}

/** Two replicas at the same index with another content: waiting will not help. */
export function haveDiverged(answers: readonly (readonly ReplicaChecksum[] | null)[]): boolean {
  const hashes = new Map<string, string>()
  for (const { group, index, hash } of answers.flatMap((replicas) => replicas ?? [])) {
    const at = `${group}/${index}`
    if (hashes.has(at) && hashes.get(at) !== hash) return true
    hashes.set(at, hash)
  }
  return false
}

export const groupOf = (
  node: NodeView | undefined,
  id: GroupId = DEFAULT_GROUP
): GroupStatus | undefined => node?.view?.groups.find(({ group }) => group === id)

/** @throws CliError it is no answer */
function bodyOf(outcome: Outcome): unknown {
  if (outcome.kind === 'answer') return outcome.body
  throw new CliError(outcome.kind === 'refused' ? outcome.error.message : outcome.reason)
}

async function poll(holds: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    if (await holds()) return true
    if (performance.now() >= deadline) return false
    await new Promise((resolve) => setTimeout(resolve, pollIntervalMs))
  }
}
