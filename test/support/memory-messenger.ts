import { after } from '../../src/core/deadlines.js'
import { ConnectionLostError, NotSentError, RequestTimeoutError } from '../../src/core/errors.js'
import type { MonotonicMs, NodeId } from '../../src/core/ids.js'
import type { Clock, Timer } from '../../src/core/ports/clock.js'
import {
  type Inbound,
  type MessageType,
  type Messenger,
  Priorities,
  type RequestOptions,
  type RequestType
} from '../../src/core/ports/messenger.js'
import { factsOf, RemoteError } from '../../src/core/remote-error.js'
import { ByteReader } from '../../src/wire/byte-reader.js'
import { ByteWriter } from '../../src/wire/byte-writer.js'
import type { MessageDeclaration } from '../../src/wire/declaration.js'

type AnyRequest = RequestType<unknown, unknown>
type Handler = (inbound: Inbound<unknown>) => unknown

/** Each way. */
export interface LinkLimits {
  readonly delayMs: number
  readonly bytesPerMs: number
  /** What waits for the link; beyond it `send` answers false. */
  readonly queueBytesMax: number
}

/** One way of a link that is narrow: messages pass in order, critical ones before all others. */
class NarrowLink {
  readonly limits: LinkLimits
  #freeAt = 0
  queuedBytesPeak = 0
  bytes = 0
  refused = 0

  constructor(limits: LinkLimits) {
    this.limits = limits
  }

  queuedBytes(now: number): number {
    return Math.max(0, this.#freeAt - now) * this.limits.bytesPerMs
  }

  hasRoom(now: number): boolean {
    const hasRoom = this.queuedBytes(now) < this.limits.queueBytesMax
    if (!hasRoom) this.refused++
    return hasRoom
  }

  /** Until the last byte has arrived. */
  take(sizeBytes: number, now: number): number {
    const { bytesPerMs, delayMs } = this.limits
    this.#freeAt = Math.max(now, this.#freeAt) + sizeBytes / bytesPerMs
    this.bytes += sizeBytes
    this.queuedBytesPeak = Math.max(this.queuedBytesPeak, this.queuedBytes(now))
    return this.#freeAt - now + delayMs
  }
}

/** Connects the messengers of a test's nodes: encoded messages, a delay, links that can be cut. */
export class MemoryNetwork {
  readonly clock: Clock
  readonly delayMs: number
  readonly nodes = new Map<NodeId, MemoryMessenger>()
  readonly #cut = new Set<string>()
  readonly #narrow = new Map<string, NarrowLink>()

  constructor(clock: Clock, delayMs = 1) {
    this.clock = clock
    this.delayMs = delayMs
  }

  join(nodeId: NodeId): MemoryMessenger {
    const messenger = new MemoryMessenger(this, nodeId)
    this.nodes.set(nodeId, messenger)
    this.#tell(nodeId, true)
    return messenger
  }

  /** The process is gone: what it sent arrives, what it waits for never does. */
  leave(nodeId: NodeId): void {
    this.nodes.get(nodeId)?.die()
    this.nodes.delete(nodeId)
    this.#tell(nodeId, false)
  }

  /** One way. */
  delayBetween(_from: NodeId, _to: NodeId): number {
    return this.delayMs
  }

  /** From now on, both ways. */
  narrow(a: NodeId, b: NodeId, limits: LinkLimits): void {
    for (const way of [`${a}>${b}`, `${b}>${a}`]) this.#narrow.set(way, new NarrowLink(limits))
  }

  /** One way; null: it is as wide as any. */
  narrowLink(from: NodeId, to: NodeId): NarrowLink | null {
    return this.#narrow.get(`${from}>${to}`) ?? null
  }

  hasRoom(from: NodeId, to: NodeId, priority: number): boolean {
    const link = this.narrowLink(from, to)
    return priority === Priorities.Critical || link === null || link.hasRoom(this.clock.now())
  }

  transitMs(from: NodeId, to: NodeId, message: { sizeBytes: number; priority: number }): number {
    const link = this.narrowLink(from, to)
    if (link === null) return this.delayBetween(from, to)
    if (message.priority === Priorities.Critical) return link.limits.delayMs
    return link.take(message.sizeBytes, this.clock.now())
  }

  /** Silent both ways, without anybody being told. */
  isolate(nodeId: NodeId): void {
    this.#cut.add(nodeId)
  }

  heal(): void {
    this.#cut.clear()
  }

  isLinked(from: NodeId, to: NodeId): boolean {
    return !this.#cut.has(from) && !this.#cut.has(to) && this.nodes.has(to)
  }

  #tell(nodeId: NodeId, connected: boolean): void {
    for (const [other, messenger] of this.nodes) {
      if (other === nodeId) continue
      messenger.tellPeer(nodeId, connected)
      if (connected) this.nodes.get(nodeId)?.tellPeer(other, true)
    }
  }
}

export class MemoryMessenger implements Messenger {
  readonly #network: MemoryNetwork
  readonly #self: NodeId
  readonly #messages = new Map<number, Handler>()
  readonly #requests = new Map<number, Handler>()
  readonly #peerHandlers: ((change: { nodeId: NodeId; connected: boolean }) => void)[] = []
  readonly #waiting = new Map<(error: Error) => void, NodeId>()
  #isDead = false

  constructor(network: MemoryNetwork, self: NodeId) {
    this.#network = network
    this.#self = self
  }

  send<Body>(to: NodeId, type: MessageType<Body>, body: Body): boolean {
    if (this.#isDead || !this.#network.nodes.has(to)) return false
    const priority = priorityOf(type)
    if (!this.#network.hasRoom(this.#self, to, priority)) return false
    const bytes = encode(type, body)
    this.#later(to, { sizeBytes: bytes.length, priority }, () => {
      if (!this.#network.isLinked(this.#self, to)) return
      this.#network.nodes.get(to)?.deliver(this.#self, type, bytes)
    })
    return true
  }

  request<Body, Answer>(
    to: NodeId,
    type: RequestType<Body, Answer>,
    body: Body,
    { deadline }: RequestOptions
  ): Promise<Answer> {
    if (this.#isDead) return new Promise(() => {})
    if (!this.#network.nodes.has(to)) return Promise.reject(new NotSentError(`${to} is not there`))
    const bytes = encode(type, body)
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        timer.cancel()
        if (this.#waiting.delete(lost) && !this.#isDead) settle()
      }
      const lost = (error: Error) => finish(() => reject(error))
      const timer: Timer = this.#network.clock.schedule(deadline, () =>
        finish(() => reject(new RequestTimeoutError('no answer in time')))
      )
      this.#waiting.set(lost, to)
      this.#later(to, { sizeBytes: bytes.length, priority: priorityOf(type) }, () => {
        if (!this.#network.isLinked(this.#self, to)) return
        this.#network.nodes
          .get(to)
          ?.serve(this.#self, { type: type as AnyRequest, bytes, deadline }, (answer) => {
            if (!this.#network.isLinked(to, this.#self)) return
            finish(() => {
              if (answer instanceof Uint8Array) resolve(decode(type.response, answer))
              else reject(answer)
            })
          })
      })
    })
  }

  onMessage<Body>(type: MessageType<Body>, handle: (inbound: Inbound<Body>) => void): void {
    this.#messages.set(type.number, handle as Handler)
  }

  onRequest<Body, Answer>(
    type: RequestType<Body, Answer>,
    handle: (inbound: Inbound<Body>) => Promise<Answer>
  ): void {
    this.#requests.set(type.number, handle as Handler)
  }

  onPeer(handle: (change: { nodeId: NodeId; connected: boolean }) => void): void {
    this.#peerHandlers.push(handle)
  }

  isConnected(to: NodeId): boolean {
    return this.#network.nodes.has(to)
  }

  tellPeer(nodeId: NodeId, connected: boolean): void {
    if (!connected) {
      for (const [lost, to] of [...this.#waiting]) {
        if (to === nodeId) lost(new ConnectionLostError(`${nodeId} is gone`))
      }
    }
    for (const handle of this.#peerHandlers) handle({ nodeId, connected })
  }

  deliver(from: NodeId, type: MessageType<unknown>, bytes: Uint8Array): void {
    this.#messages.get(type.number)?.(this.#inbound(from, decode(type, bytes), null))
  }

  serve(
    from: NodeId,
    { type, bytes, deadline }: { type: AnyRequest; bytes: Uint8Array; deadline: MonotonicMs },
    reply: (answer: Uint8Array | Error) => void
  ): void {
    const handle = this.#requests.get(type.number)
    if (handle === undefined) return
    const answered = handle(this.#inbound(from, decode(type, bytes), deadline)) as Promise<unknown>
    const priority = priorityOf(type)
    answered.then(
      (answer) => {
        const answerBytes = encode(type.response, answer)
        const { length: sizeBytes } = answerBytes
        this.#later(from, { sizeBytes, priority }, () => reply(answerBytes))
      },
      (error: unknown) =>
        this.#later(from, { sizeBytes: 0, priority }, () => reply(new RemoteError(factsOf(error))))
    )
  }

  die(): void {
    this.#isDead = true
  }

  #inbound(from: NodeId, body: unknown, deadline: MonotonicMs | null): Inbound<unknown> {
    return {
      from,
      peer: from.startsWith('client:')
        ? { kind: 'client', name: from.slice('client:'.length), clusterName: 'test' }
        : { kind: 'node', nodeId: from, clusterName: 'test' },
      body,
      deadline,
      signal: new AbortController().signal
    }
  }

  #later(to: NodeId, message: { sizeBytes: number; priority: number }, work: () => void): void {
    const { clock } = this.#network
    clock.schedule(after(clock.now(), this.#network.transitMs(this.#self, to, message)), () => {
      if (!this.#isDead) work()
    })
  }
}

const priorityOf = (type: { readonly number: number }): number =>
  (type as unknown as MessageDeclaration<unknown>).priority

function encode(type: { readonly number: number }, body: unknown): Uint8Array {
  const writer = new ByteWriter(1 << 20)
  ;(type as unknown as MessageDeclaration<unknown>).codec.write(writer, body)
  return writer.take()
}

function decode<Body>(type: MessageType<Body>, bytes: Uint8Array): Body {
  const reader = new ByteReader(bytes)
  const body = (type as MessageDeclaration<Body>).codec.read(reader)
  reader.expectEnd()
  return body
}
