import type { ClientId, GroupId, LogIndex, MonotonicMs, NodeId } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Messenger, Priority } from '../core/ports/messenger.js'
import type { ExecutionDriver } from './execution-driver.js'
import { type QueryAnswer, type QueryBody, query, registerClient } from './messages.js'
import type { NodeObservations } from './node-observations.js'
import { cancellable } from './waiting-driver.js'

export interface AttemptOptions {
  readonly deadline: MonotonicMs
  readonly priority: Priority
  readonly signal: AbortSignal | undefined
  /** It must run on the leader: given up when another node leads. */
  readonly isForLeader: boolean
  /** Given up when it is not answered by then, so that another node can be asked. */
  readonly giveUpAt?: MonotonicMs | undefined
}

export interface Answered {
  readonly results: QueryAnswer['results']
  readonly index: LogIndex
  readonly node: NodeId
}

interface Pending {
  readonly target: NodeId
  readonly group: GroupId
  readonly isForLeader: boolean
  readonly controller: AbortController
}

/** One attempt on one node: here, or one hop away; measures it, and gives it up when told. */
export class AttemptsDriver {
  readonly #clock: Clock
  readonly #messenger: Messenger
  readonly #execution: ExecutionDriver
  readonly #observations: NodeObservations
  readonly #nodeId: NodeId
  readonly #pending = new Set<Pending>()

  constructor(
    components: {
      readonly clock: Clock
      readonly messenger: Messenger
      readonly execution: ExecutionDriver
      readonly observations: NodeObservations
    },
    options: { readonly nodeId: NodeId }
  ) {
    this.#clock = components.clock
    this.#messenger = components.messenger
    this.#execution = components.execution
    this.#observations = components.observations
    this.#nodeId = options.nodeId
  }

  async attempt(target: NodeId, body: QueryBody, options: AttemptOptions): Promise<Answered> {
    const begun = this.#clock.now()
    let latencyMs: number | null = null
    let utilisation: number | null = null
    this.#observations.begin(target)
    try {
      if (target === this.#nodeId) {
        const running = this.#execution.execute(body, options.deadline, options.signal)
        const executed = await cancellable(running, options.signal)
        latencyMs = this.#clock.now() - begun
        return { ...executed, node: target }
      }
      const answer = await this.#send(target, body, options)
      latencyMs = this.#clock.now() - begun
      utilisation = answer.utilisationPermille / 1000
      return answer
    } finally {
      this.#observations.end(target, latencyMs, utilisation)
    }
  }

  async registerClient(
    target: NodeId,
    group: GroupId,
    clientId: ClientId,
    deadline: MonotonicMs
  ): Promise<void> {
    if (target === this.#nodeId) {
      await this.#execution.registerClient(group, clientId, deadline)
      return
    }
    const pending = { target, group, isForLeader: true, controller: new AbortController() }
    const { signal } = pending.controller
    this.#pending.add(pending)
    try {
      const body = { group, clientId }
      await cancellable(
        this.#messenger.request(target, registerClient, body, { deadline, group, signal }),
        signal
      )
    } finally {
      this.#pending.delete(pending)
    }
  }

  /** Another node leads: what still waits for the former one will not be answered by it. */
  giveUpFormerLeader(group: GroupId, leader: NodeId): void {
    for (const pending of [...this.#pending]) {
      if (pending.isForLeader && pending.group === group && pending.target !== leader) {
        pending.controller.abort()
      }
    }
  }

  giveUpNode(nodeId: NodeId): void {
    for (const pending of [...this.#pending]) {
      if (pending.target === nodeId) pending.controller.abort()
    }
  }

  async #send(target: NodeId, body: QueryBody, options: AttemptOptions): Promise<QueryAnswer> {
    const controller = new AbortController()
    const { isForLeader, deadline, priority, signal } = options
    const pending = { target, group: body.group, isForLeader, controller }
    const onAbort = () => controller.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#pending.add(pending)
    const { giveUpAt } = options
    const timer =
      giveUpAt === undefined ? null : this.#clock.schedule(giveUpAt, () => controller.abort())
    try {
      const sent = this.#messenger.request(target, query, body, {
        deadline,
        priority,
        group: body.group,
        signal: controller.signal
      })
      return await cancellable(sent, controller.signal)
    } finally {
      timer?.cancel()
      this.#pending.delete(pending)
      signal?.removeEventListener('abort', onAbort)
    }
  }
}
