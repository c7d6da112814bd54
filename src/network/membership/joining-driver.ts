import { Counters } from '../../core/counters.js'
import { HandshakeRefusedError, NotAuthorizedError } from '../../core/errors.js'
import type { ClusterId, MonotonicMs, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Inbound } from '../../core/ports/messenger.js'
import type { Address } from '../../core/ports/stream-network.js'
import type { VersionRange } from '../../core/versions.js'
import { type JoinRequestBody, refusalsOfJoin } from './admission.js'
import { allSettings, differencesOf, type JoinSettings, joinDigest } from './compatibility.js'
import type { Exchanges } from './exchanges-driver.js'
import type { MembershipMessenger } from './membership-messenger.js'
import { type ExchangeAnswer, joinRequest } from './messages.js'
import type { Swim } from './swim.js'

export interface JoiningComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly messenger: MembershipMessenger
  readonly swim: Swim
  readonly exchanges: Exchanges
  /** Of the gossip keys; none: insecure. */
  readonly keyIds: () => readonly string[]
  readonly enter: (call: () => void) => void
  readonly assertRunning: () => void
}

export interface JoiningOptions {
  readonly nodeId: NodeId
  readonly clusterName: string
  readonly clusterId: () => ClusterId | null
  readonly versions: VersionRange
  /** Null: not known here. */
  readonly clusterVersion: () => number | null
  readonly settings: JoinSettings
  /** `warn`: settings that must agree are told of, and refuse nobody. */
  readonly joinCheck: 'enforce' | 'warn'
}

export const joiningCounterNames = ['joins_served', 'joins_refused', 'joins_differing'] as const
export type JoiningCounterName = (typeof joiningCounterNames)[number]

/** How a node asks to be taken in, and how it takes in others. */
export class Joining {
  readonly counters = new Counters<JoiningCounterName>(joiningCounterNames)
  readonly #components: JoiningComponents
  readonly #options: JoiningOptions
  readonly #digest: number

  constructor(components: JoiningComponents, options: JoiningOptions) {
    this.#components = components
    this.#options = options
    this.#digest = joinDigest(options.settings)
  }

  serve(): void {
    const { messenger } = this.#components
    messenger.onRequest(joinRequest, async (inbound) => this.#handleJoin(inbound))
  }

  /** False: the seed is this node itself. */
  async contact(seed: Address, deadline: MonotonicMs): Promise<boolean> {
    const { messenger, swim, exchanges } = this.#components
    const { nodeId: self, clusterName, clusterId, settings } = this.#options
    const nodeId = await messenger.dialAddress(seed, deadline)
    if (nodeId === self) return false
    const request = {
      clusterName,
      clusterId: clusterId(),
      statement: swim.selfStatement(),
      features: [],
      settings: { digest: this.#digest, list: allSettings(settings) },
      keyIds: this.#components.keyIds()
    }
    const answer = await messenger.request(nodeId, joinRequest, request, {
      deadline,
      address: seed
    })
    this.#maybeWarn(nodeId, answer)
    exchanges.takeOver(answer, nodeId)
    void exchanges.catchUp(nodeId, seed)
    return true
  }

  #handleJoin({ from, body }: Inbound<JoinRequestBody>): ExchangeAnswer {
    const { clock, swim, enter, assertRunning, exchanges } = this.#components
    assertRunning()
    const { nodeId, settings } = this.#options
    this.#assertAdmissible(body, from)
    const now = clock.now()
    enter(() => {
      if (!swim.admitsClaim(body.statement, now)) {
        this.counters.add('joins_refused')
        throw new HandshakeRefusedError(
          `${from} is taken by another address, or the member table is full`,
          { nodeId }
        )
      }
      swim.handleStatement(body.statement, now)
    })
    this.counters.add('joins_served')
    const answer = exchanges.answerTo(from)
    if (body.settings === undefined || body.settings.digest === this.#digest) return answer
    return { ...answer, settings: { digest: this.#digest, list: allSettings(settings) } }
  }

  /** @throws NotAuthorizedError, HandshakeRefusedError naming each thing that differs */
  #assertAdmissible(body: JoinRequestBody, from: NodeId): void {
    const { clusterName, clusterId, nodeId, joinCheck, settings, versions } = this.#options
    const theirs = body.settings?.digest === this.#digest ? [] : (body.settings?.list ?? [])
    const { refused, warned } = differencesOf(settings, theirs)
    const faults = refusalsOfJoin(body, from, {
      clusterName,
      clusterId: clusterId(),
      versions,
      clusterVersion: this.#options.clusterVersion()
    })
    const ours = this.#components.keyIds()
    if (body.keyIds !== undefined && !sharesOne(ours, body.keyIds)) {
      faults.push(`gossip keys: ${ours.join(' ')} here, ${body.keyIds.join(' ')} there`)
    }
    if (joinCheck === 'enforce') faults.push(...refused)
    if (faults.length > 0) {
      this.counters.add('joins_refused')
      if (body.statement.nodeId !== from) throw new NotAuthorizedError(faults.join('; '))
      throw new HandshakeRefusedError(faults.join('; '), {
        nodeId,
        details: { differences: faults }
      })
    }
    this.#tellDifferences(from, refused, warned)
  }

  /** What the other side answered with settings that differ. */
  #maybeWarn(nodeId: NodeId, { settings }: ExchangeAnswer): void {
    if (settings === undefined) return
    const { refused, warned } = differencesOf(this.#options.settings, settings.list)
    this.#tellDifferences(nodeId, refused, warned)
  }

  #tellDifferences(nodeId: NodeId, refused: readonly string[], warned: readonly string[]): void {
    if (refused.length + warned.length === 0) return
    this.counters.add('joins_differing')
    const differences = [...refused, ...warned]
    this.#components.logger.warn({ nodeId, differences }, 'the settings of two members differ')
  }
}

/** Two nodes without keys speak in the clear. */
const sharesOne = (ours: readonly string[], theirs: readonly string[]): boolean =>
  ours.length + theirs.length === 0 || ours.some((id) => theirs.includes(id))
