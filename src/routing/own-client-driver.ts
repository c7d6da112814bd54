import { after } from '../core/deadlines.js'
import { NoLeaderError } from '../core/errors.js'
import {
  type ClientId,
  DEFAULT_GROUP,
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

/** The node's own client id: made when the first write needs it, registered through the log. */
export class OwnClientDriver {
  registerTimeoutMs: number
  readonly #clock: Clock
  readonly #random: Random
  readonly #attempts: AttemptsDriver
  readonly #nodeId: NodeId
  readonly #newClientId: () => ClientId
  #current: Registration | null = null

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

  /** The registered client; null while it is not. */
  get registered(): OwnClient | null {
    return this.#current?.isRegistered ? this.#current.client : null
  }

  /**
   * One attempt to register at `leader`, joined by everyone who asks meanwhile.
   * @throws NoLeaderError not confirmed, which is harmless: registering twice is
   */
  register(leader: NodeId): Promise<void> {
    this.#current ??= {
      client: new OwnClient(this.#newClientId()),
      isRegistered: false,
      attempt: null
    }
    const registration = this.#current
    registration.attempt ??= this.#registerOnce(registration, leader).finally(() => {
      registration.attempt = null
    })
    return registration.attempt
  }

  /** The cluster does not know it any more; the next write makes another. */
  forget(client: OwnClient): void {
    if (this.#current?.client === client) this.#current = null
  }

  async #registerOnce(registration: Registration, leader: NodeId): Promise<void> {
    const deadline: MonotonicMs = after(this.#clock.now(), this.registerTimeoutMs)
    const { clientId } = registration.client
    try {
      await this.#attempts.registerClient(leader, DEFAULT_GROUP, clientId, deadline)
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
