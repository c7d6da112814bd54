/** Asks every member how it is, and puts the answers together; who is silent counts as that. */
import { after } from '../../core/deadlines.js'
import type { VerdictStatus } from '../../core/health-verdict.js'
import type { NodeId } from '../../core/ids.js'
import { Livenesses, type Member } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { RestartOptions } from '../../core/rolling-restart.js'
import { nodeStatus } from '../drain/messages.js'
import { type ClusterSight, clusterSight, type NodeStatus } from './cluster-view.js'
import { ServiceWatch } from './service-watch.js'

export type LookOptions = Pick<RestartOptions, 'failureDomain' | 'lagEntriesMax'>

export interface LookComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly logger: Logger
  readonly members: () => readonly Member[]
  readonly verdictOn: (node: NodeId) => VerdictStatus
  /** This node's own word. */
  readonly ownStatus: () => NodeStatus
}

export class ClusterLook {
  readonly #components: LookComponents
  readonly #self: NodeId
  readonly #timeoutMs: number
  readonly #watch = new ServiceWatch()

  /** @param options `timeoutMs`: who has not said how it is by then counts as silent */
  constructor(
    components: LookComponents,
    options: { readonly self: NodeId; readonly timeoutMs: number }
  ) {
    this.#components = components
    this.#self = options.self
    this.#timeoutMs = options.timeoutMs
  }

  async look(options: LookOptions): Promise<ClusterSight> {
    const { members, verdictOn, ownStatus, clock, messenger } = this.#components
    const statuses = new Map<NodeId, NodeStatus>()
    const deadline = after(clock.now(), this.#timeoutMs)
    const asked = members()
      .filter(({ nodeId, liveness }) => nodeId !== this.#self && liveness !== Livenesses.Dead)
      .map(async ({ nodeId }) => {
        try {
          statuses.set(nodeId, await messenger.request(nodeId, nodeStatus, {}, { deadline }))
        } catch (error) {
          this.#components.logger.debug({ nodeId, error }, 'a node did not say how it is')
        }
      })
    await Promise.all(asked)
    statuses.set(this.#self, ownStatus())
    return clusterSight({
      ...options,
      members: members(),
      statusOf: (nodeId) => statuses.get(nodeId) ?? null,
      verdictOn,
      serviceLevel: this.#watch.observe(statuses, clock.now())
    })
  }
}
