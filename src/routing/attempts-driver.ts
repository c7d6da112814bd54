import { AttemptGivenUpError } from '../core/errors.js'
import type { ClientId, GroupId, MonotonicMs, NodeId } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import { StatementKinds } from '../core/ports/engine-provider.js'
import type { Messenger, Priority } from '../core/ports/messenger.js'
import type { Answered } from './answered.js'
import type { ExecutionDriver } from './execution-driver.js'
import type { LoadReport } from './load-report.js'
import { type QueryAnswer, type QueryBody, query, registerClient } from './messages.js'
import { FaultVerdicts, faultVerdictOf } from './node-faults.js'
import { type AnswerSample, failedSample, type NodeObservations } from './node-observations.js'
import type { NodeStandings } from './node-standings.js'
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
  readonly #standings: NodeStandings
  readonly #ownLoad: () => LoadReport
  readonly #nodeId: NodeId
  readonly #pending = new Set<Pending>()

  constructor(
    components: {
      readonly clock: Clock
      readonly messenger: Messenger
      readonly execution: ExecutionDriver
      readonly observations: NodeObservations
      readonly standings: NodeStandings
      readonly ownLoad: () => LoadReport
    },
    options: { readonly nodeId: NodeId }
  ) {
    this.#clock = components.clock
    this.#messenger = components.messenger
    this.#execution = components.execution
    this.#observations = components.observations
    this.#standings = components.standings
    this.#ownLoad = components.ownLoad
    this.#nodeId = options.nodeId
  }

  async attempt(target: NodeId, body: QueryBody, options: AttemptOptions): Promise<Answered> {
    const begun = this.#clock.now()
    const load = this.#observations.of(target)
    let sample = failedSample
    load.begin()
    try {
      const { answered, report } = await this.#try(target, body, options)
      sample = this.#sampleOf(body, begun, report)
      this.#standings.handleResult(target, FaultVerdicts.Success, this.#clock.now())
      this.#standings.handleApplied(target, answered.index, this.#clock.now())
      return answered
    } catch (error) {
      this.#standings.handleResult(target, faultVerdictOf(error), this.#clock.now())
      throw error
    } finally {
      load.end(sample, this.#clock.now())
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
    } catch (error) {
      throw reasonOf(error, signal)
    } finally {
      this.#pending.delete(pending)
    }
  }

  /** Another node leads: what still waits for the former one will not be answered by it. */
  giveUpFormerLeader(group: GroupId, leader: NodeId): void {
    for (const pending of [...this.#pending]) {
      if (pending.isForLeader && pending.group === group && pending.target !== leader) {
        const why = `${pending.target} leads group ${group} no more`
        pending.controller.abort(new AttemptGivenUpError(why, { leaderHint: leader }))
      }
    }
  }

  giveUpNode(nodeId: NodeId): void {
    for (const pending of [...this.#pending]) {
      if (pending.target !== nodeId) continue
      pending.controller.abort(new AttemptGivenUpError(`${nodeId} is gone`))
    }
  }

  async #try(
    target: NodeId,
    body: QueryBody,
    options: AttemptOptions
  ): Promise<{ answered: Answered; report: LoadReport }> {
    if (target === this.#nodeId) {
      const running = this.#execution.execute(body, options.deadline, options.signal)
      const executed = await cancellable(running, options.signal)
      return { answered: { ...executed, node: target }, report: this.#ownLoad() }
    }
    const answer = await this.#send(target, body, options)
    const { utilisationPermille, queueDepth = Number.NaN } = answer
    return { answered: answer, report: { utilisation: utilisationPermille / 1000, queueDepth } }
  }

  /** Writes wait for a majority, not for the node: they say nothing about its speed at reads. */
  #sampleOf(body: QueryBody, begun: MonotonicMs, report: LoadReport): AnswerSample {
    const { utilisation, queueDepth } = report
    const isRead = body.kind === StatementKinds.Read
    const latencyMs = isRead ? this.#clock.now() - begun : Number.NaN
    return { latencyMs, utilisation, queueDepth }
  }

  async #send(target: NodeId, body: QueryBody, options: AttemptOptions): Promise<QueryAnswer> {
    const controller = new AbortController()
    const { isForLeader, deadline, priority, signal } = options
    const pending = { target, group: body.group, isForLeader, controller }
    const onAbort = () => controller.abort(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#pending.add(pending)
    const { giveUpAt } = options
    const giveUp = () =>
      controller.abort(new AttemptGivenUpError(`${target} has not answered in time`))
    const timer = giveUpAt === undefined ? null : this.#clock.schedule(giveUpAt, giveUp)
    try {
      const sent = this.#messenger.request(target, query, body, {
        deadline,
        priority,
        group: body.group,
        signal: controller.signal
      })
      return await cancellable(sent, controller.signal)
    } catch (error) {
      throw reasonOf(error, controller.signal)
    } finally {
      timer?.cancel()
      this.#pending.delete(pending)
      signal?.removeEventListener('abort', onAbort)
    }
  }
}

/** What was given up here was not cancelled by its caller. */
const reasonOf = (error: unknown, { reason }: AbortSignal): unknown =>
  reason instanceof AttemptGivenUpError ? reason : error
