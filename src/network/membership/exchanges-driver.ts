import { Counters } from '../../core/counters.js'
import { after } from '../../core/deadlines.js'
import { HandshakeRefusedError, PeerIdentityError } from '../../core/errors.js'
import type { ClusterId, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { Address } from '../../core/ports/stream-network.js'
import { factsOf } from '../../core/remote-error.js'
import type { TellQueue } from '../../core/tell-queue.js'
import { isForeign } from './admission.js'
import type { DatagramChannel } from './datagram-channel-driver.js'
import {
  type ExchangeAnswer,
  metadataSupply,
  metadataSync,
  pushPull,
  streamPing
} from './messages.js'
import type { Swim } from './swim.js'
import type { SwimSend } from './swim-state.js'

/** State exchanges that this node has asked for and that are not answered yet. */
export const exchangesInFlightMax = 8
const exchangeTimeoutMs = 10_000

export interface ExchangesComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly messenger: Messenger
  readonly swim: Swim
  readonly channel: DatagramChannel
  /** Every call into the core, so that its effects are carried out. */
  readonly enter: (call: () => void) => void
  /** @throws where the node is not running */
  readonly assertRunning: () => void
  readonly isRunning: () => boolean
}

export interface ExchangesOptions {
  readonly advertiseAddress: Address
  readonly clusterId: () => ClusterId | null
}

export const exchangesCounterNames = [
  'stream_pings_failed',
  'exchanges_failed',
  'exchanges_skipped'
] as const
export type ExchangesCounterName = (typeof exchangesCounterNames)[number]

/** What members compare over streams: their views, their metadata, and whether they live. */
export class Exchanges {
  readonly counters = new Counters<ExchangesCounterName>(exchangesCounterNames)
  readonly #components: ExchangesComponents
  readonly #options: ExchangesOptions
  #inFlight = 0

  constructor(components: ExchangesComponents, options: ExchangesOptions) {
    this.#components = components
    this.#options = options
  }

  serve(): void {
    const { messenger, clock, swim, enter, assertRunning } = this.#components
    messenger.onRequest(pushPull, async ({ from, body }) => {
      assertRunning()
      this.#assertOwnCluster(body.clusterId)
      enter(() => swim.merge(body.members, from, clock.now()))
      return this.answerTo(from)
    })
    messenger.onRequest(metadataSync, async ({ body }) => {
      assertRunning()
      this.#assertOwnCluster(body.clusterId)
      return swim.metadata.answer(body.digests)
    })
    messenger.onMessage(metadataSupply, ({ body }) => {
      if (!this.#components.isRunning()) return
      if (isForeign(body.clusterId, this.#options.clusterId())) return
      enter(() => swim.metadata.merge(body.deltas))
    })
    messenger.onRequest(streamPing, async ({ body }) => {
      assertRunning()
      return { sequence: body.sequence, address: this.#options.advertiseAddress }
    })
  }

  /** What this node tells one that joins or exchanges. */
  answerTo(nodeId: NodeId): ExchangeAnswer {
    return {
      clusterId: this.#options.clusterId(),
      members: this.#components.swim.exchangedMembers(),
      bootNumberSeen: this.#components.channel.bootNumberOf(nodeId)
    }
  }

  takeOver(answer: ExchangeAnswer, from: NodeId): void {
    const { isRunning, channel, enter, swim, clock } = this.#components
    if (!isRunning()) return
    this.#assertOwnCluster(answer.clusterId)
    if (answer.bootNumberSeen !== null) channel.raiseBootNumber(answer.bootNumberSeen)
    enter(() => swim.merge(answer.members, from, clock.now()))
  }

  async ping(effect: Extract<SwimSend, { kind: 'streamPing' }>): Promise<void> {
    const { messenger, clock, logger, enter, swim } = this.#components
    const { nodeId, address, sequence, deadline } = effect
    try {
      const request = { deadline, address }
      const answer = await messenger.request(nodeId, streamPing, { sequence }, request)
      if (answer.address !== address) {
        throw new PeerIdentityError(`${nodeId} answered as ${answer.address}, not ${address}`)
      }
    } catch (error) {
      this.counters.add('stream_pings_failed')
      logger.debug({ nodeId, cause: factsOf(error) }, 'ping over the stream failed')
      return
    }
    enter(() => swim.handleStreamAck(sequence, nodeId, clock.now()))
  }

  async exchange({ nodeId, address }: Extract<SwimSend, { kind: 'pushPull' }>): Promise<void> {
    const { messenger, logger, swim } = this.#components
    if (this.#inFlight >= exchangesInFlightMax) {
      this.counters.add('exchanges_skipped')
      return
    }
    this.#inFlight++
    try {
      const clusterId = this.#options.clusterId()
      const request = { clusterId, members: swim.exchangedMembers() }
      const answer = await messenger.request(nodeId, pushPull, request, {
        deadline: this.#deadline(),
        address
      })
      this.takeOver(answer, nodeId)
      await this.#compareMetadata(nodeId, address)
    } catch (error) {
      this.counters.add('exchanges_failed')
      logger.debug({ nodeId, cause: factsOf(error) }, 'state exchange failed')
    } finally {
      this.#inFlight--
    }
  }

  /** After a join: what the others say of themselves, without waiting for the next exchange. */
  async catchUp(nodeId: NodeId, address: Address): Promise<void> {
    try {
      await this.#compareMetadata(nodeId, address)
    } catch (error) {
      this.counters.add('exchanges_failed')
      this.#components.logger.debug({ nodeId, cause: factsOf(error) }, 'no metadata yet')
    }
  }

  tellQueues(tell: TellQueue): void {
    tell('exchangesInFlightMax', this.#inFlight, exchangesInFlightMax)
  }

  async #compareMetadata(nodeId: NodeId, address: Address): Promise<void> {
    const { messenger, swim, enter, isRunning } = this.#components
    if (!isRunning()) return
    const clusterId = this.#options.clusterId()
    const request = { clusterId, digests: swim.metadataDigests() }
    const { deltas, wanted } = await messenger.request(nodeId, metadataSync, request, {
      deadline: this.#deadline(),
      address
    })
    if (!isRunning()) return
    enter(() => swim.metadata.merge(deltas))
    if (wanted.length === 0) return
    messenger.send(nodeId, metadataSupply, { clusterId, deltas: swim.metadata.supply(wanted) })
  }

  #deadline() {
    return after(this.#components.clock.now(), exchangeTimeoutMs)
  }

  #assertOwnCluster(theirs: ClusterId | null): void {
    const ours = this.#options.clusterId()
    if (isForeign(theirs, ours)) {
      throw new HandshakeRefusedError(`cluster id ${theirs} is not ${ours}`)
    }
  }
}
