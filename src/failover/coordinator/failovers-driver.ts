/** Why leaderships moved, and whether they may: asked and told through the control group. */
import type { Control } from '../../control/index.js'
import { Counters } from '../../core/counters.js'
import { after } from '../../core/deadlines.js'
import { NotFoundError, NotLeaderError } from '../../core/errors.js'
import type { FailoverEvent } from '../../core/events.js'
import type {
  Failover,
  FailoverAskOptions,
  FailoverStatus,
  Failovers,
  FencingToken
} from '../../core/failover.js'
import type { GroupId, MonotonicMs, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { ReplicatedGroup } from '../../core/ports/replicated-group.js'
import { restartsSection } from '../rolling-restart/restarts-section.js'
import { type FailoversChange, type FailoversState, failoversSection } from './failovers-section.js'

export interface FailoversComponents {
  readonly clock: Clock
  readonly control: Control
  readonly groupOf: (group: GroupId) => Pick<ReplicatedGroup, 'leadership' | 'readIndex'> | null
}

const askTimeoutMs = 5_000

const counterNames = ['failover_events', 'rolling_restarts'] as const

export class FailoversDriver implements Failovers {
  readonly #components: FailoversComponents
  /** What the replica of the control group here has applied since it was opened. */
  readonly counters = new Counters(counterNames)
  readonly #self: NodeId
  readonly #listeners: ((event: FailoverEvent) => void)[] = []

  constructor(components: FailoversComponents, options: { readonly self: NodeId }) {
    this.#components = components
    this.#self = options.self
    const { control } = components
    control.onApplied(failoversSection, ({ failovers, pausedBy }, change, { id, isNew }) => {
      if (change.kind !== 'record') this.#tell({ type: 'FailoverPaused', pausedBy })
      const failover = failovers.find((one) => one.id === id)
      if (!isNew || failover === undefined) return
      this.counters.add('failover_events')
      const { group, term, from, to, reason, why, action } = failover
      this.#tell({ type: 'FailoverRecorded', id, group, term, from, to, reason, why, action })
    })
    control.onApplied(restartsSection, (_state, { kind }, answer) => {
      const isBegun = kind === 'start' && answer.kind === 'accepted'
      if (isBegun) this.counters.add('rolling_restarts')
    })
  }

  onEvent(listener: (event: FailoverEvent) => void): void {
    this.#listeners.push(listener)
  }

  async status(options: FailoverAskOptions = {}): Promise<FailoverStatus> {
    const { pausedBy, count } = await this.#read(options)
    return { coordinator: this.#components.control.leader(), pausedBy, count }
  }

  async history(options: FailoverAskOptions = {}): Promise<readonly Failover[]> {
    return (await this.#read(options)).failovers
  }

  async explain(id: number, options: FailoverAskOptions = {}): Promise<Failover> {
    const found = (await this.history(options)).find((one) => one.id === id)
    if (found === undefined) throw new NotFoundError(`no failover ${id} is remembered`)
    return found
  }

  async pause(by: string, options: FailoverAskOptions = {}): Promise<FailoverStatus> {
    return this.#change({ kind: 'pause', by }, options)
  }

  async resume(options: FailoverAskOptions = {}): Promise<FailoverStatus> {
    return this.#change({ kind: 'resume' }, options)
  }

  async fencingToken(group: GroupId, options: FailoverAskOptions = {}): Promise<FencingToken> {
    const replica = this.#components.groupOf(group)
    const before = this.#ledTerm(group)
    if (replica === null || before === null) throw this.#notLeader(group)
    // A leader confirms an index only when it has committed an entry of its own term.
    const index = await replica.readIndex(this.#deadline(options))
    if (this.#ledTerm(group) !== before) throw this.#notLeader(group)
    return { group, term: before, index }
  }

  #ledTerm(group: GroupId) {
    const leadership = this.#components.groupOf(group)?.leadership()
    return leadership?.role === 'leader' ? leadership.term : null
  }

  #notLeader(group: GroupId): NotLeaderError {
    const leader = this.#components.groupOf(group)?.leadership().leader ?? null
    const hint = leader === null || leader === this.#self ? {} : { leaderHint: leader }
    return new NotLeaderError(`${this.#self} does not lead group ${group}`, hint)
  }

  #tell(event: FailoverEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  #read(options: FailoverAskOptions): Promise<FailoversState> {
    return this.#components.control.read(failoversSection, this.#deadline(options))
  }

  async #change(change: FailoversChange, options: FailoverAskOptions): Promise<FailoverStatus> {
    const { control } = this.#components
    await control.change(failoversSection, change, { deadline: this.#deadline(options) })
    return this.status(options)
  }

  #deadline({ timeoutMs = askTimeoutMs }: FailoverAskOptions): MonotonicMs {
    return after(this.#components.clock.now(), timeoutMs)
  }
}
