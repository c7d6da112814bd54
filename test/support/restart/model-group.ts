import { after } from '../../../src/core/deadlines.js'
import { TransferFailedError } from '../../../src/core/errors.js'
import type { GroupId, LogIndex, NodeId, Term } from '../../../src/core/ids.js'
import type { ReplicaStatus } from '../../../src/failover/rolling-restart/cluster-view.js'
import type { VirtualClock } from '../virtual-clock.js'

export interface ModelGroupOptions {
  readonly clock: VirtualClock
  readonly group: GroupId
  readonly voters: readonly NodeId[]
  readonly isUp: (node: NodeId) => boolean
}

/** Of every group, all the time. */
const entriesPerMs = 2
const electionMs = 800
const retryMs = 200

interface Believed {
  readonly term: Term
  readonly leader: NodeId | null
}

/** A Raft group by its outside: who leads, who believes what, who lacks how much. */
export class ModelGroup {
  readonly group: GroupId
  readonly voters: readonly NodeId[]
  electionsByTimeout = 0
  /** When who leads now began to. */
  ledSince = 0
  /** To who leads now. */
  isHandedOver = false
  #leader: NodeId | null = null
  #term = 0 as Term
  readonly #options: ModelGroupOptions
  readonly #cut = new Set<NodeId>()
  readonly #barred = new Set<NodeId>()
  readonly #believed = new Map<NodeId, Believed>()
  /** Since when a node catches up, for how long, and what it lacked then. */
  readonly #catchingUp = new Map<NodeId, { at: number; forMs: number; lag: number }>()
  readonly #stoppedAt = new Map<NodeId, number>()
  readonly #handlers: ((leader: NodeId | null, term: Term) => void)[] = []

  constructor(options: ModelGroupOptions) {
    this.group = options.group
    this.voters = options.voters
    this.#options = options
  }

  get leader(): NodeId | null {
    return this.#leader
  }

  get term(): Term {
    return this.#term
  }

  get hasMajority(): boolean {
    return this.voters.filter((voter) => this.#isThere(voter)).length * 2 > this.voters.length
  }

  onLeader(handler: (leader: NodeId | null, term: Term) => void): void {
    this.#handlers.push(handler)
  }

  believedBy(node: NodeId): Believed {
    return this.#believed.get(node) ?? { term: this.#term, leader: null }
  }

  growthIn = (ms: number): number => ms * entriesPerMs

  lagOf(node: NodeId): number {
    const now = this.#options.clock.now()
    if (!this.voters.includes(node)) return 0
    const stoppedAt = this.#stoppedAt.get(node)
    if (stoppedAt !== undefined) return this.growthIn(now - stoppedAt)
    const catching = this.#catchingUp.get(node)
    if (catching === undefined) return 0
    return Math.max(0, Math.round(catching.lag * (1 - (now - catching.at) / catching.forMs)))
  }

  statusAt(node: NodeId): Omit<ReplicaStatus, 'group'> {
    const { term, leader } = this.believedBy(node)
    const commitIndex = this.growthIn(Math.floor(this.#options.clock.now())) as LogIndex
    const isActive = (voter: NodeId) => this.#isThere(voter) && !this.#cut.has(node)
    return {
      role: leader === node ? 'leader' : 'follower',
      term,
      leader,
      voters: this.voters,
      votersOutgoing: [],
      commitIndex,
      appliedIndex: Math.max(0, commitIndex - this.lagOf(node)) as LogIndex,
      failed: false,
      active: leader === node ? this.voters.filter(isActive) : []
    }
  }

  setCandidacy(node: NodeId, allowed: boolean): void {
    if (allowed) this.#barred.delete(node)
    else this.#barred.add(node)
  }

  async transfer(node: NodeId, target: NodeId | null): Promise<void> {
    if (this.#leader !== node || this.#cut.has(node)) {
      throw new TransferFailedError('it does not lead, or reaches nobody')
    }
    const to = target ?? this.#able().find((voter) => voter !== node) ?? null
    await new Promise<void>((resolve) => {
      const { clock } = this.#options
      clock.schedule(after(clock.now(), 20), resolve)
    })
    if (to === null || !this.#isThere(to) || this.#leader !== node) {
      throw new TransferFailedError(`${to} does not take over`)
    }
    this.#lead(to, true)
  }

  setCut(node: NodeId, isCut: boolean): void {
    if (isCut) this.#cut.add(node)
    else this.#cut.delete(node)
    if (!isCut) this.#believed.set(node, { term: this.#term, leader: this.#leader })
    if (!isCut) for (const handle of this.#handlers) handle(this.#leader, this.#term)
    this.#maybeElect()
  }

  handleStopped(node: NodeId): void {
    if (!this.voters.includes(node)) return
    this.#stoppedAt.set(node, this.#options.clock.now())
    this.#catchingUp.delete(node)
    this.#barred.delete(node)
    this.#maybeElect()
  }

  handleStarted(node: NodeId, catchUpMs: number): void {
    if (!this.voters.includes(node)) return
    const lag = this.lagOf(node)
    this.#stoppedAt.delete(node)
    this.#catchingUp.set(node, { at: this.#options.clock.now(), forMs: catchUpMs, lag })
    this.#believed.set(node, { term: this.#term, leader: this.#leader })
  }

  /** At once, as at the beginning. */
  elect(): void {
    const [best] = this.hasMajority ? this.#able() : []
    if (best !== undefined) this.#lead(best)
  }

  #maybeElect(): void {
    const leader = this.#leader
    if (leader !== null && this.#isThere(leader) && this.hasMajority) return
    this.#leader = null
    this.#later(electionMs)
  }

  #later(ms: number): void {
    const { clock } = this.#options
    clock.schedule(after(clock.now(), ms), () => {
      if (this.#leader !== null || !this.voters.some((voter) => this.#options.isUp(voter))) return
      this.elect()
      if (this.leader === null) {
        for (const voter of this.voters) {
          if (this.#isThere(voter)) this.#believed.set(voter, { term: this.#term, leader: null })
        }
        this.#later(retryMs)
      } else this.electionsByTimeout++
    })
  }

  /** Who could lead: the most advanced first, and in the order of the group. */
  #able(): NodeId[] {
    return this.voters
      .filter((voter) => this.#isThere(voter) && !this.#barred.has(voter))
      .sort((a, b) => this.lagOf(a) - this.lagOf(b))
  }

  #isThere(voter: NodeId): boolean {
    return this.#options.isUp(voter) && !this.#cut.has(voter)
  }

  #lead(node: NodeId, isHandedOver = false): void {
    this.isHandedOver = isHandedOver
    this.#term = (this.#term + 1) as Term
    this.#leader = node
    this.ledSince = this.#options.clock.now()
    for (const voter of this.voters) {
      if (this.#isThere(voter)) this.#believed.set(voter, { term: this.#term, leader: node })
    }
    for (const handle of this.#handlers) handle(node, this.#term)
  }
}
