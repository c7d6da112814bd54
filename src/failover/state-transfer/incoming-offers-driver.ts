/** What other nodes would like this one to take, and what became of it. */
import { NotAuthorizedError } from '../../core/errors.js'
import type { NodeId } from '../../core/ids.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Inbound, Messenger } from '../../core/ports/messenger.js'
import { factsOf } from '../../core/remote-error.js'
import { type FileOffer, TransferStates, type TransferView } from '../../core/state-sync.js'
import type { TypeOf } from '../../wire/index.js'
import { isDigest, isFileName } from './file-name.js'
import { hexOf } from './file-shelf-driver.js'
import { fileOffer } from './messages.js'
import type { TransferRecord } from './transfer-records.js'

/** Offers of others whose end is remembered, so that their sender learns of it. */
const offersKeptMax = 256

type Offered = TypeOf<(typeof fileOffer)['codec']>
export type OfferAnswer = TypeOf<(typeof fileOffer)['response']['codec']>

export interface IncomingOffersComponents {
  readonly messenger: Messenger
  readonly logger: Logger
}

export interface IncomingOffersOwner {
  /** The record is there when it returns. */
  receive(
    from: NodeId,
    offered: Offered,
    as: string
  ): { readonly arrived: Promise<TransferView>; readonly record: TransferRecord | null }
  cancel(from: NodeId, offer: string): void
  /** @throws BackpressureError, FileTransferError, StoppedError */
  assertRoom(as: string): void
}

export class IncomingOffers {
  readonly #components: IncomingOffersComponents
  readonly #owner: IncomingOffersOwner
  /** What each offer became: a transfer, or an answer for good. */
  readonly #known = new Map<string, TransferRecord | OfferAnswer>()
  #decide: ((offer: FileOffer) => string | null) | null = null

  constructor(components: IncomingOffersComponents, owner: IncomingOffersOwner) {
    this.#components = components
    this.#owner = owner
    components.messenger.onRequest(fileOffer, (inbound) => this.#handle(inbound))
  }

  acceptFiles(decide: (offer: FileOffer) => string | null): void {
    this.#decide = decide
  }

  async #handle({ peer, body }: Inbound<Offered>): Promise<OfferAnswer> {
    if (peer.kind !== 'node') throw new NotAuthorizedError('files are for members')
    const from = peer.nodeId
    if (body.cancelled) this.#owner.cancel(from, body.offer)
    const key = `${from}\n${body.offer}`
    const known = this.#known.get(key)
    if (known !== undefined) return answerOf(known)
    if (body.cancelled) return refusedBecause('it was cancelled')
    const as = this.#nameFor(from, body)
    if (typeof as !== 'string') return this.#remember(key, refusedBecause(as.why))
    this.#owner.assertRoom(as)
    const { arrived, record } = this.#owner.receive(from, body, as)
    // Its outcome is told by the record, to whoever asks.
    arrived.catch((error) => {
      const facts = factsOf(error)
      this.#components.logger.warn({ from, as, ...facts }, 'an offered file did not arrive')
    })
    return this.#remember(key, record ?? refusedBecause('it could not begin'))
  }

  /** What the file is to be called here, or why it is not taken. */
  #nameFor(from: NodeId, offered: Offered): string | { readonly why: string } {
    const { file, sizeBytes, sha256 } = offered
    if (!isFileName(file)) return { why: 'its name is no plain one' }
    if (!isDigest(sha256)) return { why: 'its digest is none' }
    if (this.#decide === null) return { why: 'this node takes no files' }
    const { logger } = this.#components
    try {
      const name = this.#decide({ from, file, sizeBytes, sha256: hexOf(sha256) })
      if (name === null) return { why: 'the node does not want it' }
      if (isFileName(name)) return name
      logger.error({ name }, 'a file may not be called so')
      return { why: 'it was given no plain name' }
    } catch (error) {
      logger.error({ error }, 'deciding on an offered file failed')
      return { why: 'deciding on it failed' }
    }
  }

  #remember(key: string, outcome: TransferRecord | OfferAnswer): OfferAnswer {
    this.#known.set(key, outcome)
    for (const [old, known] of this.#known) {
      if (this.#known.size <= offersKeptMax) break
      if (answerOf(known).state !== 'underway') this.#known.delete(old)
    }
    return answerOf(outcome)
  }
}

const refusedBecause = (reason: string): OfferAnswer => ({
  state: 'refused',
  receivedBytes: 0,
  code: '',
  reason
})

function answerOf(known: TransferRecord | OfferAnswer): OfferAnswer {
  if (!('doneBytes' in known)) return known
  const { state, doneBytes, failure } = known
  const answer = { receivedBytes: doneBytes, code: failure ?? '', reason: '' }
  if (state === TransferStates.Done) return { ...answer, state: 'done' }
  const isOver = state === TransferStates.Failed || state === TransferStates.Cancelled
  return { ...answer, state: isOver ? 'failed' : 'underway' }
}
