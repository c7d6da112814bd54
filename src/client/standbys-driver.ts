/**
 * Keeps a client connected to whoever may lead next. A handshake keeps both ends busy for as long
 * as some writes would, and the moment when a leader is lost is the worst one for it.
 *
 * 1. Standbys are the voters of the groups that this client has had answers from, as far as they
 *    serve; at most `standbysMax`. Whoever is beyond that is connected when it is asked.
 * 2. They are dialled at a random moment, another one for each client: a node that comes back is
 *    not met by all its clients at once.
 */
import { DeadlineTimer } from '../core/deadline-timer.js'
import { after } from '../core/deadlines.js'
import type { GroupId, NodeId } from '../core/ids.js'
import { isServing, type Member } from '../core/member.js'
import type { Clock } from '../core/ports/clock.js'
import type { Random } from '../core/ports/random.js'

export interface StandbysComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: {
    isConnected(to: NodeId): boolean
    /** Begins to connect, unless that is under way, or failed just now. */
    dial(to: NodeId): void
  }
  readonly members: () => readonly Member[]
  /** Those that this client uses. */
  readonly groups: () => Iterable<GroupId>
  readonly votersOf: (group: GroupId) => readonly NodeId[]
}

/** Nodes that one client is connected to before it asks them. */
export const standbysMax = 8
/** Until those that are missing are dialled, and dialled again. */
const dialWithinMs = 500

export class Standbys {
  readonly #components: StandbysComponents
  readonly #timer: DeadlineTimer

  constructor(components: StandbysComponents) {
    this.#components = components
    this.#timer = new DeadlineTimer(components.clock, () => this.#dial())
  }

  /** Members, voters, groups in use or connections are others than before. */
  look(): void {
    if (!this.#timer.isArmed && this.#missing().length > 0) this.#arm()
  }

  stop(): void {
    this.#timer.stop()
  }

  #dial(): void {
    const missing = this.#missing()
    for (const node of missing) this.#components.messenger.dial(node)
    if (missing.length > 0) this.#arm()
  }

  #arm(): void {
    const { clock, random } = this.#components
    this.#timer.arm(after(clock.now(), dialWithinMs * (0.5 + random.nextFloat() / 2)))
  }

  #missing(): NodeId[] {
    const { groups, members, messenger, votersOf } = this.#components
    const standbys = new Set<NodeId>()
    for (const group of groups()) for (const voter of votersOf(group)) standbys.add(voter)
    const serving = new Set(
      members()
        .filter(isServing)
        .map(({ nodeId }) => nodeId)
    )
    return [...standbys]
      .filter((node) => serving.has(node))
      .slice(0, standbysMax)
      .filter((node) => !messenger.isConnected(node))
  }
}
