import type { ErrorFacts } from '../../core/errors.js'
import type { Command, SystemWrite } from '../../core/ports/engine.js'
import type { Statement } from '../../core/sql.js'

/**
 * What the driver asks of a writer or reader; cloneable. Times are what is left, in milliseconds.
 */
export type EngineCallBody =
  | { readonly op: 'open' }
  | { readonly op: 'plan'; readonly statements: readonly Statement[]; readonly budgetMs: number }
  | {
      readonly op: 'prepare'
      readonly statements: readonly Statement[]
      readonly budgetMs: number
    }
  | {
      readonly op: 'apply'
      readonly commands: readonly Command[]
      readonly writes: readonly SystemWrite[]
      readonly index: number
    }
  | {
      /** Applies the first commands of the open batch. */
      readonly op: 'commit'
      readonly count: number
      readonly writes: readonly SystemWrite[]
      readonly index: number
    }
  | { readonly op: 'discard' }
  | { readonly op: 'readSystem'; readonly prefix: string }
  | { readonly op: 'flush' }
  | { readonly op: 'read'; readonly statements: readonly Statement[]; readonly budgetMs: number }
  | { readonly op: 'checksum' }
  | { readonly op: 'close' }

export interface EngineCall {
  readonly id: number
  readonly body: EngineCallBody
}

export interface EngineReply {
  readonly id: number
  /** Of the shape that the operation answers. */
  readonly value?: unknown
  readonly error?: ErrorFacts
}

export type HostKind = 'writer' | 'reader'

export interface ChannelHandlers {
  onReplies(replies: readonly EngineReply[]): void
  /** It ended by itself; nothing more is answered. */
  onExit(reason: string): void
}

/** The way to one writer or reader, wherever it runs. Calls are executed in order. */
export interface EngineChannel {
  post(calls: readonly EngineCall[]): void
  /**
   * Nothing more is answered. False when what runs there cannot be stopped and goes on until it
   * ends by itself.
   */
  kill(): Promise<boolean>
}

export type ChannelOpener = (kind: HostKind, handlers: ChannelHandlers) => EngineChannel
