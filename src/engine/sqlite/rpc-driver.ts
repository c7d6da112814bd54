import { EngineFailedError } from '../../core/errors.js'
import { RemoteError } from '../../core/remote-error.js'
import type {
  ChannelOpener,
  EngineCall,
  EngineCallBody,
  EngineChannel,
  EngineReply,
  HostKind
} from './channel.js'

export interface PendingCall {
  readonly body: EngineCallBody
  resolve(value: unknown): void
  reject(error: Error): void
}

/** Calls over a channel; those of one turn travel together. */
export class EngineRpc {
  readonly #channel: EngineChannel
  readonly #pending = new Map<number, PendingCall>()
  readonly #onExit: (reason: string) => void
  #unsent: EngineCall[] = []
  #nextId = 1
  #isEnded = false

  constructor(open: ChannelOpener, kind: HostKind, onExit: (reason: string) => void) {
    this.#onExit = onExit
    this.#channel = open(kind, {
      onReplies: (replies) => this.#handleReplies(replies),
      onExit: (reason) => this.#handleExit(reason)
    })
  }

  call<T>(body: EngineCallBody): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.send({ body, resolve: resolve as (value: unknown) => void, reject })
    })
  }

  send(pending: PendingCall): void {
    if (this.#isEnded) {
      pending.reject(new EngineFailedError('the engine has ended'))
      return
    }
    const id = this.#nextId++
    this.#pending.set(id, pending)
    this.#unsent.push({ id, body: pending.body })
    if (this.#unsent.length === 1) queueMicrotask(() => this.#flush())
  }

  /** What has not been answered, oldest first. */
  pending(): PendingCall[] {
    return [...this.#pending.values()]
  }

  /** Takes what has not been answered out of its hands, and stops it if it can be stopped. */
  async kill(): Promise<boolean> {
    this.#isEnded = true
    this.#pending.clear()
    return this.#channel.kill()
  }

  #flush(): void {
    const calls = this.#unsent
    this.#unsent = []
    if (!this.#isEnded && calls.length > 0) this.#channel.post(calls)
  }

  #handleReplies(replies: readonly EngineReply[]): void {
    for (const { id, value, error } of replies) {
      const pending = this.#pending.get(id)
      this.#pending.delete(id)
      if (error === undefined) pending?.resolve(value)
      else pending?.reject(new RemoteError(error))
    }
  }

  #handleExit(reason: string): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#onExit(reason)
    const left = this.pending()
    this.#pending.clear()
    for (const { reject } of left) reject(new EngineFailedError(reason))
  }
}
