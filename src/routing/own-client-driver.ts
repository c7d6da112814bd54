import { after } from '../core/deadlines.js'
import { NoLeaderError } from '../core/errors.js'
import {
  type ClientId,
  type GroupId,
  type MonotonicMs,
  type NodeId,
  toClientId
} from '../core/ids.js'
import { OwnClient } from '../core/own-client.js'
import type { Clock } from '../core/ports/clock.js'
import type { Random } from '../core/ports/random.js'
import type { AttemptsDriver } from './attempts-driver.js'
import { Outcomes, outcomeOf } from './retry-policy.js'

interface Registration {
  readonly client: OwnClient
  isRegistered: boolean
  /** The attempt under way, shared by every write that waits for it. */
  attempt: Promise<void> | null
}

/**
 * The node's own client ids, one in each group that it writes to: made when the first write needs
 * it, registered through the log.
 */
export class OwnClientDriver {
  registerTimeoutMs: number
  readonly #clock: Clock
  readonly #random: Random
  readonly #attempts: AttemptsDriver
  readonly #nodeId: NodeId
  readonly #newClientId: () => ClientId
  /** Serials are each group's own, and so are the clients that number with them. */
  readonly #current = new Map<GroupId, Registration>()

  constructor(
    components: {
      readonly clock: Clock
      readonly random: Random
      readonly attempts: AttemptsDriver
      /** Default: this node's id and random digits. */
      readonly newClientId?: (() => ClientId) | undefined
    },
    options: { readonly nodeId: NodeId; readonly registerTimeoutMs: number }
  ) {
    this.#clock = components.clock
    this.#random = components.random
    this.#attempts = components.attempts
    this.#nodeId = options.nodeId
    this.registerTimeoutMs = options.registerTimeoutMs
    this.#newClientId = components.newClientId ?? (() => this.#newId())
  }

  /** The client that is registered in the group; null while there is none. */
  registered(group: GroupId): OwnClient | null {
    const registration = this.#current.get(group)
    return registration?.isRegistered ? registration.client : null
  }

  /**
   * One attempt to register at `leader`, joined by everyone who asks meanwhile.
   * @throws NoLeaderError not confirmed, which is harmless: registering twice is
   */
  register(group: GroupId, leader: NodeId): Promise<void> {
    const registration = this.#current.get(group) ?? this.#begin(group)
    registration.attempt ??= this.#registerOnce(registration, group, leader).finally(() => {
      registration.attempt = null
    })
    return registration.attempt
  }

  /** The group does not know it any more; the next write makes another. */
  forget(group: GroupId, client: OwnClient): void {
    if (this.#current.get(group)?.client === client) this.#current.delete(group)
  }

  #begin(group: GroupId): Registration {
    const client = new OwnClient(this.#newClientId())
    const registration: Registration = { client, isRegistered: false, attempt: null }
    this.#current.set(group, registration)
    return registration
  }

  async #registerOnce(registration: Registration, group: GroupId, leader: NodeId): Promise<void> {
    const deadline: MonotonicMs = after(this.#clock.now(), this.registerTimeoutMs)
    const { clientId } = registration.client
    try {
      await this.#attempts.registerClient(leader, group, clientId, deadline)
      registration.isRegistered = true
    } catch (cause) {
      if (outcomeOf(cause) !== Outcomes.Unknown) throw cause
      throw new NoLeaderError('the registration of a client was not confirmed', { cause })
    }
  }

  #newId(): ClientId {
    const digits = [0, 0, 0].map(() => this.#random.nextUint32().toString(16).padStart(8, '0'))
    return toClientId(`${this.#nodeId.slice(0, 39)}.${digits.join('')}`)
  }
}
