import type {
  AppliedHandler,
  ChangeOptions,
  Control,
  ControlSection
} from '../../../src/control/index.js'
import { after } from '../../../src/core/deadlines.js'
import { IndeterminateError, NoLeaderError } from '../../../src/core/errors.js'
import {
  CONTROL_GROUP,
  type LogIndex,
  type MonotonicMs,
  type NodeId,
  type Term,
  type WallMs
} from '../../../src/core/ids.js'
import {
  type FailoversChange,
  type FailoversState,
  failoversSection
} from '../../../src/failover/coordinator/failovers-section.js'
import type { RestartPlans } from '../../../src/failover/rolling-restart/plan.js'
import type { PlanAnswer, PlanChange } from '../../../src/failover/rolling-restart/plan-changes.js'
import { restartsSection } from '../../../src/failover/rolling-restart/restarts-section.js'
import { ByteReader } from '../../../src/wire/byte-reader.js'
import { ByteWriter } from '../../../src/wire/byte-writer.js'
import type { Codec } from '../../../src/wire/codec.js'
import type { ProcessClock } from '../process-clock.js'
import type { VirtualClock } from '../virtual-clock.js'
import { ModelGroup } from './model-group.js'

export interface ModelControlOptions {
  readonly clock: VirtualClock
  readonly voters: readonly NodeId[]
  readonly isUp: (node: NodeId) => boolean
}

interface Applied {
  readonly state: RestartPlans
  readonly change: PlanChange
  readonly answer: PlanAnswer
  readonly at: { readonly index: LogIndex; readonly now: WallMs }
}

const commitMs = 5
const applyMs = 3
const retryMs = 100

/** The control group as one log that every replica applies, some of them late. */
export class ModelControl {
  readonly group: ModelGroup
  readonly #options: ModelControlOptions
  readonly #replicas = new Map<NodeId, Replica>()
  readonly #log: Applied[] = []
  readonly #cut = new Set<NodeId>()
  readonly #answered = new Map<string, PlanAnswer>()
  #state: RestartPlans = restartsSection.initial()
  readonly #committedHandlers: ((change: PlanChange, state: RestartPlans) => void)[] = []
  /** As it is committed. */
  failovers: FailoversState = failoversSection.initial()
  #loseAnswers = 0
  #refusals = 0

  constructor(options: ModelControlOptions) {
    this.#options = options
    this.group = new ModelGroup({ ...options, group: CONTROL_GROUP })
    this.group.onLeader(() => {
      for (const replica of this.#replicas.values()) this.#tell(replica)
    })
  }

  /** Told of what was accepted. */
  onCommitted(handler: (change: PlanChange, state: RestartPlans) => void): void {
    this.#committedHandlers.push(handler)
  }

  /** As it is committed. */
  get state(): RestartPlans {
    return this.#state
  }

  /** The next answers do not arrive; what they answer is done. */
  loseAnswers(count: number): void {
    this.#loseAnswers = count
  }

  /** The next records of failovers are not taken. */
  refuseFailovers(count: number): void {
    this.#refusals = count
  }

  /** Whether this one is refused; it counts. */
  refusesFailover(): boolean {
    if (this.#refusals === 0) return false
    this.#refusals--
    return true
  }

  join(node: NodeId, clock: ProcessClock): Control {
    const replica = new Replica(this, node, clock)
    replica.jump(this.#log.length, this.#state)
    this.#replicas.set(node, replica)
    return replica
  }

  leave(node: NodeId): void {
    this.#replicas.delete(node)
  }

  handleStarted(): void {
    for (const replica of this.#replicas.values()) this.#tell(replica)
  }

  setCut(node: NodeId, isCut: boolean): void {
    if (isCut) this.#cut.add(node)
    else this.#cut.delete(node)
    const replica = this.#replicas.get(node)
    if (!isCut && replica !== undefined) this.#feed(replica)
  }

  isCut(node: NodeId): boolean {
    return this.#cut.has(node)
  }

  /** Null: nobody can commit it now. */
  commit(change: PlanChange, key: string | undefined): PlanAnswer | 'lost' | null {
    if (this.group.leader === null || !this.group.hasMajority) return null
    const known = key === undefined ? undefined : this.#answered.get(key)
    if (known !== undefined) return known
    const index = (this.#log.length + 1) as LogIndex
    const wall = this.#options.clock.wallNow()
    const now = Math.max(wall, (this.#log.at(-1)?.at.now ?? 0) + 1) as WallMs
    const at = { index, now }
    const { state, answer } = restartsSection.apply(
      this.#state,
      again(restartsSection.change, change),
      at
    )
    this.#state = again(restartsSection.state, state)
    if (key !== undefined) this.#answered.set(key, answer)
    this.#log.push({ state: this.#state, change, answer, at })
    if (answer.kind === 'accepted') {
      for (const handle of this.#committedHandlers) handle(change, state)
    }
    for (const replica of this.#replicas.values()) {
      const { clock } = this.#options
      clock.schedule(after(clock.now(), applyMs), () => this.#feed(replica))
    }
    if (this.#loseAnswers === 0) return again(restartsSection.answer, answer)
    this.#loseAnswers--
    return 'lost'
  }

  /** The section of failovers; null: nobody can commit it now. */
  commitFailover(change: FailoversChange) {
    if (this.group.leader === null || !this.group.hasMajority) return null
    const at = { index: 0 as LogIndex, now: this.#options.clock.wallNow() }
    const given = again(failoversSection.change, change)
    const { state, answer } = failoversSection.apply(this.failovers, given, at)
    this.failovers = again(failoversSection.state, state)
    return again(failoversSection.answer, answer)
  }

  #feed(replica: Replica): void {
    if (this.#cut.has(replica.node) || this.#replicas.get(replica.node) !== replica) return
    while (replica.applied < this.#log.length) replica.apply(this.#log[replica.applied] as Applied)
  }

  /** Who is cut off hears of no other leader. */
  #tell(replica: Replica): void {
    if (this.#cut.has(replica.node)) return
    replica.handleLeader(this.group.leader, this.group.term)
  }
}

class Replica implements Control {
  readonly node: NodeId
  applied = 0
  readonly #model: ModelControl
  readonly #clock: ProcessClock
  readonly #appliedHandlers: AppliedHandler<RestartPlans, PlanChange, PlanAnswer>[] = []
  readonly #leadershipHandlers: ((leads: boolean, term: Term) => void)[] = []
  #state: RestartPlans = restartsSection.initial()
  #leader: NodeId | null = null
  #term = 0 as Term

  constructor(model: ModelControl, node: NodeId, clock: ProcessClock) {
    this.#model = model
    this.node = node
    this.#clock = clock
  }

  get isLeader(): boolean {
    return this.#leader === this.node
  }

  leader(): NodeId | null {
    return this.#leader
  }

  jump(applied: number, state: RestartPlans): void {
    this.applied = applied
    this.#state = state
  }

  apply({ state, change, answer, at }: Applied): void {
    this.applied++
    this.#state = state
    for (const handle of this.#appliedHandlers) handle(state, change, answer, at)
  }

  handleLeader(leader: NodeId | null, term: Term): void {
    const did = this.isLeader
    const isNewTerm = term !== this.#term
    this.#leader = leader
    this.#term = term
    if (did === this.isLeader && !(this.isLeader && isNewTerm)) return
    for (const handle of this.#leadershipHandlers) handle(this.isLeader, term)
  }

  change<State, Change, Answer>(
    section: ControlSection<State, Change, Answer>,
    change: Change,
    { deadline, idempotencyKey }: ChangeOptions
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const isFailover = section.name === failoversSection.name
      const isRefused = isFailover && this.#model.refusesFailover()
      const attempt = () => {
        if (isRefused) return reject(new NoLeaderError('nobody leads'))
        const answer = this.#model.isCut(this.node)
          ? null
          : isFailover
            ? this.#model.commitFailover(change as unknown as FailoversChange)
            : this.#model.commit(change as unknown as PlanChange, idempotencyKey)
        if (answer === 'lost') reject(new IndeterminateError('the answer was lost'))
        else if (answer !== null) this.#in(commitMs, () => resolve(answer as unknown as Answer))
        else if (this.#clock.now() >= deadline) reject(new NoLeaderError('nobody leads'))
        else this.#in(retryMs, attempt)
      }
      this.#in(commitMs, attempt)
    })
  }

  local<State, Change, Answer>(section: ControlSection<State, Change, Answer>): State | null {
    const isFailover = section.name === failoversSection.name
    return (isFailover ? this.#model.failovers : this.#state) as unknown as State
  }

  read<State, Change, Answer>(
    _section: ControlSection<State, Change, Answer>,
    deadline: MonotonicMs
  ): Promise<State> {
    return new Promise((resolve, reject) => {
      const attempt = () => {
        const { group } = this.#model
        const isPossible =
          group.leader !== null && group.hasMajority && !this.#model.isCut(this.node)
        if (isPossible) resolve(this.#model.state as unknown as State)
        else if (this.#clock.now() >= deadline) reject(new NoLeaderError('nobody leads'))
        else this.#in(retryMs, attempt)
      }
      this.#in(commitMs, attempt)
    })
  }

  onApplied<State, Change, Answer>(
    _section: ControlSection<State, Change, Answer>,
    handler: AppliedHandler<State, Change, Answer>
  ): void {
    this.#appliedHandlers.push(
      handler as unknown as AppliedHandler<RestartPlans, PlanChange, PlanAnswer>
    )
  }

  onLeadership(handler: (leads: boolean, term: Term) => void): void {
    this.#leadershipHandlers.push(handler)
  }

  #in(ms: number, work: () => void): void {
    this.#clock.schedule(after(this.#clock.now(), ms), work)
  }
}

/** Through its bytes and back. */
function again<T>(codec: Codec<T>, value: T): T {
  const writer = new ByteWriter(1 << 20)
  codec.write(writer, value)
  const reader = new ByteReader(writer.take())
  const read = codec.read(reader)
  reader.expectEnd()
  return read
}
