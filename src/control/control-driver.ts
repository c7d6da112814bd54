/**
 * The control group on one node: makes its engine, has changes made wherever the leader is, reads,
 * and tells subscribers what was applied. Rooms see it as `Control`.
 *
 * 1. Whoever is asked by another node does it here or refuses: one hop, never two.
 *
 * Owner's order: hand `createEngine` to consensus for the control group; `start` when messages are
 * served; `handleEvent` with each event of consensus; `stop` before consensus stops.
 */
import { Counters } from '../core/counters.js'
import { after } from '../core/deadlines.js'
import {
  BackpressureError,
  InvalidArgumentError,
  NotFoundError,
  RequestTimeoutError,
  StoppedError
} from '../core/errors.js'
import type { ConsensusEvent } from '../core/events.js'
import { CONTROL_GROUP, type MonotonicMs, type NodeId, type Term } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Crypto } from '../core/ports/crypto.js'
import type { Disk } from '../core/ports/disk.js'
import type { Engine } from '../core/ports/engine.js'
import type { Logger } from '../core/ports/logger.js'
import type { Random } from '../core/ports/random.js'
import type { ReplicatedGroup } from '../core/ports/replicated-group.js'
import type { TellQueue } from '../core/tell-queue.js'
import { controlChangeBytesMax, decodeWith, encodeWith } from './change-command.js'
import type { AppliedHandler, ChangeOptions, Control } from './control.js'
import { type ControlCounters, controlCounterNames } from './control-counters.js'
import { ControlEngine, valueIn } from './control-engine-driver.js'
import { type AnySection, type AppliedChange, formatOfChange } from './control-state.js'
import { controlChange, controlRead, controlRegister } from './messages.js'
import { isFinal, isNothingDone } from './outcomes.js'
import { ControlPeers, type PeersComponents } from './peers-driver.js'
import { Proposer } from './proposer-driver.js'
import type { ControlSection } from './section.js'

export interface ControlComponents extends PeersComponents {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  /** Of the node's data directory. */
  readonly disk: Disk
  readonly logger: Logger
  /** Every section that this node knows. */
  readonly sections: readonly AnySection[]
}

/** Changes and reads under way, of this node; beyond it they are refused. */
export const controlCallsMax = 256
/** What another node asks without a deadline is given up after this. */
const askedTimeoutMs = 5_000

type Handler = AppliedHandler<unknown, unknown, unknown>

export interface ControlOptions {
  readonly nodeId: NodeId
  /** The newest format that this node's software speaks. */
  readonly formatMax: number
}

export class ControlDriver implements Control {
  readonly #components: ControlComponents
  readonly #counters: ControlCounters = new Counters(controlCounterNames)
  readonly #handlers = new Map<string, Handler[]>()
  readonly #leadershipHandlers: ((leads: boolean, term: Term) => void)[] = []
  readonly #peers: ControlPeers
  readonly #proposer: Proposer
  readonly #formatMax: number
  #engine: ControlEngine | null = null
  #calls = 0
  #leads = false
  #isStopped = false

  constructor(components: ControlComponents, options: ControlOptions) {
    const { random } = components
    this.#components = components
    this.#formatMax = options.formatMax
    this.#peers = new ControlPeers(components, options)
    const expectReplica = () => this.#expectReplica()
    this.#proposer = new Proposer(
      { random, peers: this.#peers, counters: this.#counters, expectReplica },
      options
    )
  }

  /** For consensus, when it makes this node's replica of the control group. */
  createEngine(): Engine {
    const { clock, crypto, disk, sections } = this.#components
    const onApplied = (applied: AppliedChange) => this.#tellApplied(applied)
    this.#engine = new ControlEngine({
      clock,
      crypto,
      disk,
      sections,
      formatMax: this.#formatMax,
      onApplied
    })
    return this.#engine
  }

  /** Serves other nodes from now on. */
  start(): void {
    const { messenger } = this.#components
    messenger.onRequest(controlRegister, async ({ body, deadline }) => {
      await this.#expectReplica().registerClient(body.client, this.#askedUntil(deadline))
      return {}
    })
    messenger.onRequest(controlChange, async ({ body, deadline }) => {
      const { tag, ...request } = body
      const until = this.#askedUntil(deadline)
      return { answer: await this.#proposer.propose(request, tag, until) }
    })
    messenger.onRequest(controlRead, async ({ body, deadline }) => {
      const replica = this.#expectReplica()
      const until = this.#askedUntil(deadline)
      const atLeastIndex = await replica.readIndex(until)
      const statements = [{ sql: body.section }]
      const { results } = await replica.read({ statements, atLeastIndex, deadline: until })
      return { state: valueIn(results) }
    })
  }

  /** Whoever waits for another attempt is told. */
  stop(): void {
    this.#isStopped = true
    this.#peers.stop()
  }

  get counters(): ControlCounters {
    return this.#counters
  }

  tellQueues(tell: TellQueue): void {
    tell('controlCallsMax', this.#calls, controlCallsMax)
  }

  get isLeader(): boolean {
    return this.#leads
  }

  leader(): NodeId | null {
    return this.#peers.leader()
  }

  onLeadership(handler: (leads: boolean, term: Term) => void): void {
    this.#leadershipHandlers.push(handler)
  }

  onApplied<State, Change, Answer>(
    section: ControlSection<State, Change, Answer>,
    handler: AppliedHandler<State, Change, Answer>
  ): void {
    this.#expectKnown(section)
    const handlers = this.#handlers.get(section.name) ?? []
    this.#handlers.set(section.name, handlers)
    handlers.push(handler as Handler)
  }

  local<State, Change, Answer>(section: ControlSection<State, Change, Answer>): State | null {
    this.#expectKnown(section)
    if (this.#engine === null || this.#components.replica() === null) return null
    return this.#engine.stateOf(section)
  }

  /** What consensus tells, of all groups. */
  handleEvent(event: ConsensusEvent): void {
    if (event.group !== CONTROL_GROUP) return
    if (event.type === 'LeaderChanged' && event.leader !== null) this.#peers.wake()
    if (event.type !== 'RoleChanged') return
    const leads = event.role === 'leader'
    if (leads === this.#leads) return
    this.#leads = leads
    for (const handler of this.#leadershipHandlers) handler(leads, event.term)
  }

  async change<State, Change, Answer>(
    section: ControlSection<State, Change, Answer>,
    change: Change,
    options: ChangeOptions
  ): Promise<Answer> {
    this.#expectKnown(section)
    const request = {
      section: section.name,
      format: formatOfChange(section, change),
      change: encodeWith(section.change, change, controlChangeBytesMax)
    }
    const answer = await this.#entered(() => this.#proposer.carryOut(request, options))
    return decodeWith(section.answer, answer.slice())
  }

  async read<State, Change, Answer>(
    section: ControlSection<State, Change, Answer>,
    deadline: MonotonicMs
  ): Promise<State> {
    this.#expectKnown(section)
    return this.#entered(async () => {
      this.#counters.add('state_reads')
      for (let failures = 1; ; failures++) {
        try {
          return await this.#readOnce(section, deadline)
        } catch (error) {
          const isOver = isFinal(error)
          if (isOver || !(await this.#peers.mayTryAgain(error, failures, deadline))) {
            throw lateRead(error)
          }
        }
      }
    })
  }

  async #entered<T>(call: () => Promise<T>): Promise<T> {
    this.#expectRunning()
    if (this.#calls >= controlCallsMax) {
      throw new BackpressureError(`${this.#calls} calls of the control group are under way`)
    }
    this.#calls++
    try {
      return await call()
    } finally {
      this.#calls--
    }
  }

  async #readOnce<State, Change, Answer>(
    section: ControlSection<State, Change, Answer>,
    deadline: MonotonicMs
  ): Promise<State> {
    const replica = this.#peers.own()
    if (replica !== null && this.#engine !== null) {
      const atLeastIndex = await replica.readIndex(deadline)
      await replica.read({ statements: [], atLeastIndex, deadline })
      return this.#engine.stateOf(section)
    }
    const body = { section: section.name }
    const { state } = await this.#peers.ask(this.#peers.target(), controlRead, body, deadline)
    return decodeWith(section.state, state.slice())
  }

  #tellApplied({ section, state, change, answer, at }: AppliedChange): void {
    this.#counters.add('changes_applied')
    for (const handler of this.#handlers.get(section.name) ?? []) {
      try {
        handler(state, change, answer, at)
      } catch (error) {
        // What is applied is applied; a subscriber's defect must not stop the replica.
        this.#components.logger.error({ section: section.name, error }, 'a subscriber failed')
      }
    }
  }

  #askedUntil(deadline: MonotonicMs | null): MonotonicMs {
    return deadline ?? after(this.#components.clock.now(), askedTimeoutMs)
  }

  #expectRunning(): void {
    if (this.#isStopped) throw new StoppedError('this node is stopping')
  }

  #expectReplica(): ReplicatedGroup {
    this.#expectRunning()
    const replica = this.#components.replica()
    if (replica === null) throw new NotFoundError('this node has no replica of the control group')
    return replica
  }

  #expectKnown<State, Change, Answer>(section: ControlSection<State, Change, Answer>): void {
    if ((this.#components.sections as readonly unknown[]).includes(section)) return
    throw new InvalidArgumentError('section', `${section.name} is not registered on this node`)
  }
}

/** A read has no effect, so its outcome is never in doubt. */
const lateRead = (error: unknown): unknown =>
  isFinal(error) || isNothingDone(error)
    ? error
    : new RequestTimeoutError('the control group did not answer in time', { cause: error })
