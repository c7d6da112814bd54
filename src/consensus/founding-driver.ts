/**
 * How a cluster begins. Founders are named by their node ids; their replica ids exist only when
 * each has its data directory. So each asks the others, pledges itself durably to the list of all,
 * and founds when all others have pledged themselves to the same list.
 *
 * 1. A pledge is for life: a directory never takes part in two foundings.
 * 2. Nobody founds before every founder's pledge is durable; so an emptied directory cannot bring a
 *    second founding about: the others' pledges do not name its new replica id.
 * 3. A founding has one list of groups: who has another in mind takes no part until that is put
 *    right.
 * 4. Who hears that the founding it is pledged to has taken place founds without hearing everybody.
 */
import { DeadlineTimer } from '../core/deadline-timer.js'
import { after } from '../core/deadlines.js'
import { NotAuthorizedError } from '../core/errors.js'
import {
  compareText,
  DEFAULT_GROUP,
  type GroupId,
  type NodeId,
  nodeOf,
  type ReplicaId
} from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Logger } from '../core/ports/logger.js'
import type { Messenger } from '../core/ports/messenger.js'
import type { TypeOf } from '../wire/codec.js'
import { replicaHello } from './group/group-messages.js'
import type { IdentityStore } from './identity/identity-driver.js'
import { type ReplicaIdentity, selfOf } from './identity/replica-identity.js'

export type ReplicaHello = TypeOf<typeof replicaHello.codec>

/** Founders that are not known yet are asked again at this interval. */
export const helloIntervalMs = 200

export interface FoundingComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly logger: Logger
  readonly identities: IdentityStore
  /** Told once. The pledge is durable; the first log entries are the owner's to write. */
  onFounded(founders: readonly ReplicaId[], groups: readonly GroupId[]): void
  onFailed(error: unknown): void
}

export interface FoundingOptions {
  readonly voters: readonly NodeId[]
  /** Sorted; the same with every founder. */
  readonly groups: readonly GroupId[]
}

export class FoundingDriver {
  readonly #components: FoundingComponents
  readonly #voters: readonly NodeId[]
  readonly #groups: readonly GroupId[]
  readonly #known = new Map<NodeId, ReplicaHello>()
  readonly #timer: DeadlineTimer
  #identity: ReplicaIdentity
  #isPledging = false
  #isDone = false
  #complained = ''

  constructor(components: FoundingComponents, options: FoundingOptions, identity: ReplicaIdentity) {
    this.#components = components
    this.#voters = [...options.voters].sort(compareText)
    // What was pledged stays, whatever is configured by now.
    this.#groups = identity.founders === null ? options.groups : identity.groups
    this.#identity = identity
    this.#timer = new DeadlineTimer(components.clock, () => this.#ask())
  }

  start(): void {
    this.#advance()
    this.#ask()
  }

  stop(): void {
    this.#isDone = true
    this.#timer.stop()
  }

  /** What this founder tells whoever asks. */
  hello(): ReplicaHello {
    return helloOf(this.#identity, false, this.#groups)
  }

  /** Another founder told about itself, asked or not. */
  handleHello(from: NodeId, hello: ReplicaHello): void {
    if (this.#isDone || !this.#voters.includes(from)) return
    this.#known.set(from, hello)
    this.#advance()
  }

  #ask(): void {
    if (this.#isDone) return
    const { clock, messenger } = this.#components
    const deadline = after(clock.now(), 5 * helloIntervalMs)
    for (const voter of this.#others()) {
      messenger.request(voter, replicaHello, this.hello(), { deadline }).then(
        (hello) => {
          if (nodeOf(hello.self) === voter) this.handleHello(voter, hello)
        },
        (error: unknown) => this.#handleSilence(voter, error)
      )
    }
    this.#timer.arm(after(clock.now(), helloIntervalMs))
  }

  #handleSilence(voter: NodeId, error: unknown): void {
    this.#components.logger.debug({ voter, error }, 'a founder does not answer')
  }

  #advance(): void {
    if (this.#isDone || this.#isPledging) return
    const self = selfOf(this.#identity)
    const pledge = this.#identity.founders
    const hellos = this.#others().map((voter) => this.#known.get(voter))
    const founding = hellos.find((hello) => hello?.founded)?.pledged ?? null
    const others = hellos.find((hello) => hello && !isSame(groupsOf(hello), this.#groups))
    if (others !== undefined) {
      this.#complain('cluster.groups differs between founders; nothing is founded until it is one')
    } else if (founding !== null && !founding.includes(self)) {
      this.#complain('the cluster was founded without this replica; it joins nothing by itself')
    } else if (pledge === null) {
      const founders = founding ?? this.#foundersKnown()
      if (founders !== null) this.#pledge(founders)
    } else if (
      isSame(founding, pledge) ||
      hellos.every((hello) => hello !== undefined && isSame(hello.pledged, pledge))
    ) {
      this.stop()
      this.#components.onFounded(pledge, this.#groups)
    } else if (hellos.some((hello) => hello?.pledged && !isSame(hello.pledged, pledge))) {
      this.#complain('founders have pledged themselves to different foundings')
    }
  }

  /** Null until all are known and none is pledged to another list. */
  #foundersKnown(): readonly ReplicaId[] | null {
    const founders = [selfOf(this.#identity)]
    for (const voter of this.#others()) {
      const hello = this.#known.get(voter)
      if (hello === undefined) return null
      founders.push(hello.self)
    }
    founders.sort(compareText)
    for (const { pledged } of this.#known.values()) {
      if (pledged === null || isSame(pledged, founders)) continue
      this.#complain('another founder has pledged itself to a founding without this replica')
      return null
    }
    return founders
  }

  #pledge(founders: readonly ReplicaId[]): void {
    this.#isPledging = true
    this.#components.identities.pledge(founders, this.#groups).then(
      (identity) => {
        this.#isPledging = false
        this.#identity = identity
        this.#advance()
        this.#ask()
      },
      (error: unknown) => {
        this.stop()
        this.#components.onFailed(error)
      }
    )
  }

  #others(): readonly NodeId[] {
    return this.#voters.filter((voter) => voter !== this.#identity.nodeId)
  }

  #complain(what: string): void {
    if (this.#complained === what) return
    this.#complained = what
    const known = [...this.#known.values()].map(({ self, pledged, groups }) => ({
      self,
      pledged,
      groups: groups?.length ?? 1
    }))
    this.#components.logger.error({ self: selfOf(this.#identity), known }, what)
  }
}

/** @param groups that it would found, as long as it has pledged itself to none */
export const helloOf = (
  identity: ReplicaIdentity,
  founded: boolean,
  groups: readonly GroupId[]
): ReplicaHello => ({
  self: selfOf(identity),
  clusterName: identity.clusterName,
  pledged: identity.founders,
  founded,
  groups: identity.founders === null ? groups : identity.groups
})

const groupsOf = ({ groups }: ReplicaHello): readonly GroupId[] => groups ?? [DEFAULT_GROUP]

/** @throws NotAuthorizedError it speaks for another node, or of another cluster */
export function expectHonest(from: NodeId, hello: ReplicaHello, clusterName: string): void {
  if (nodeOf(hello.self) === from && hello.clusterName === clusterName) return
  throw new NotAuthorizedError(`${from} says it is ${hello.self} of cluster ${hello.clusterName}`)
}

const isSame = <T>(a: readonly T[] | null, b: readonly T[]): boolean =>
  a !== null && a.length === b.length && a.every((value, i) => value === b[i])
