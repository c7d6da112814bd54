/**
 * Has changes made by the control group's leader, here or one hop away.
 *
 * 1. Every change carries a client's id and serial, so that it may be sent again whatever became of
 *    it: it is executed once, and each attempt is answered alike.
 * 2. A change of unknown outcome is tried again until its deadline; then its outcome is unknown.
 */
import {
  BackpressureError,
  IndeterminateError,
  InvalidArgumentError,
  NoLeaderError
} from '../core/errors.js'
import {
  type ClientId,
  type MonotonicMs,
  type NodeId,
  type Serial,
  toClientId
} from '../core/ids.js'
import { OwnClient } from '../core/own-client.js'
import type { Random } from '../core/ports/random.js'
import type { ClientTag, ReplicatedGroup } from '../core/ports/replicated-group.js'
import { hasCode } from '../core/remote-error.js'
import type { ChangeOptions } from './control.js'
import type { ControlCounters } from './control-counters.js'
import { statementOf, valueIn } from './control-engine-driver.js'
import type { ChangeRequest } from './control-state.js'
import { controlChange, controlRegister } from './messages.js'
import { isFinal, isNothingDone } from './outcomes.js'
import type { ControlPeers } from './peers-driver.js'

const idempotencyKeyPattern = /^[\x21-\x7e]{1,48}$/

/** Numbers one change: asked anew for each attempt, since lower serials are answered meanwhile. */
interface Numbering {
  readonly clientId: ClientId
  tag(): ClientTag
  close(): void
}

export interface ProposerComponents {
  readonly random: Random
  readonly peers: ControlPeers
  readonly counters: ControlCounters
  /** @throws NotFoundError there is none on this node */
  expectReplica(): ReplicatedGroup
}

export class Proposer {
  readonly #components: ProposerComponents
  readonly #nodeId: NodeId
  #client: OwnClient | null = null
  /** The client, once the control group has confirmed it. */
  #registered: ClientId | null = null

  constructor(components: ProposerComponents, options: { readonly nodeId: NodeId }) {
    this.#components = components
    this.#nodeId = options.nodeId
  }

  /** Until the deadline. @throws as `Control.change` */
  async carryOut(
    request: ChangeRequest,
    { deadline, idempotencyKey }: ChangeOptions
  ): Promise<Uint8Array> {
    const { peers, counters } = this.#components
    counters.add('changes')
    let numbering = this.#number(idempotencyKey)
    let mayBeDone = false
    try {
      for (let failures = 1; ; failures++) {
        try {
          return await this.#attempt(request, numbering, deadline)
        } catch (error) {
          const isExpired = hasCode(error, 'ERR_SKEIN_CLIENT_EXPIRED')
          mayBeDone ||= !isNothingDone(error)
          // Whoever is forgotten may have done it, and a new name would do it once more.
          const isOver = isFinal(error) || (isExpired && mayBeDone)
          if (isOver || !(await peers.mayTryAgain(error, failures, deadline))) {
            throw this.#outcome(error, mayBeDone)
          }
          counters.add('changes_retried')
          if (isExpired) {
            numbering.close()
            this.#forget(numbering.clientId)
            numbering = this.#number(idempotencyKey)
          }
        }
      }
    } finally {
      numbering.close()
    }
  }

  /** Here and nowhere else. @throws NotLeaderError, IndeterminateError, … */
  async propose(
    request: ChangeRequest,
    client: ClientTag,
    deadline: MonotonicMs
  ): Promise<Uint8Array> {
    const replica = this.#components.expectReplica()
    const statements = [statementOf(request)]
    const { results } = await replica.write({ statements, client, deadline })
    return valueIn(results)
  }

  async #attempt(
    request: ChangeRequest,
    numbering: Numbering,
    deadline: MonotonicMs
  ): Promise<Uint8Array> {
    const { peers, counters } = this.#components
    const target = peers.target()
    if (this.#registered !== numbering.clientId) {
      await this.#register(target, numbering.clientId, deadline)
    }
    const tag = numbering.tag()
    if (target === this.#nodeId) return this.propose(request, tag, deadline)
    counters.add('changes_forwarded')
    const { answer } = await peers.ask(target, controlChange, { ...request, tag }, deadline)
    return answer
  }

  /** @throws NoLeaderError also where it is not confirmed: registering twice is harmless */
  async #register(target: NodeId, client: ClientId, deadline: MonotonicMs): Promise<void> {
    const { peers, expectReplica } = this.#components
    try {
      if (target === this.#nodeId) await expectReplica().registerClient(client, deadline)
      else await peers.ask(target, controlRegister, { client }, deadline)
    } catch (cause) {
      if (isNothingDone(cause)) throw cause
      throw new NoLeaderError('the registration of a client was not confirmed', { cause })
    }
    if (client === this.#client?.clientId) this.#registered = client
  }

  #outcome(error: unknown, mayBeDone: boolean): unknown {
    const { counters } = this.#components
    counters.add(mayBeDone ? 'changes_indeterminate' : 'changes_refused')
    if (!mayBeDone) return error
    return new IndeterminateError('whether the change was made is not known', { cause: error })
  }

  #number(key: string | undefined): Numbering {
    if (key !== undefined) return numberingOf(key)
    this.#client ??= new OwnClient(this.#newClientId())
    const client = this.#client
    const serial = client.open()
    if (serial === null) throw new BackpressureError('an early change holds later ones back')
    return {
      clientId: client.clientId,
      tag: () => client.tag(serial),
      close: () => client.close(serial)
    }
  }

  #forget(clientId: ClientId): void {
    if (this.#registered === clientId) this.#registered = null
    if (this.#client?.clientId === clientId) this.#client = null
  }

  #newClientId(): ClientId {
    const { random } = this.#components
    const digits = [0, 0, 0].map(() => random.nextUint32().toString(16).padStart(8, '0'))
    return toClientId(`${this.#nodeId.slice(0, 38)}:${digits.join('')}`)
  }
}

/** A client of its own, which numbers one change: whoever names the key speaks of that change. */
function numberingOf(key: string): Numbering {
  if (!idempotencyKeyPattern.test(key)) {
    throw new InvalidArgumentError('idempotencyKey', 'must be 1 to 48 printable characters')
  }
  const clientId = toClientId(`key:${key}`)
  const serial = 1 as Serial
  return {
    clientId,
    tag: () => ({ clientId, serial, answeredBelow: serial }),
    close() {}
  }
}
