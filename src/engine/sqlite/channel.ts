import type { ErrorFacts } from '../../core/errors.js'
import type { Command, SnapshotDescription, SystemWrite } from '../../core/ports/engine.js'
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
  | { readonly op: 'rehearse' }
  | { readonly op: 'readSystem'; readonly prefix: string }
  | { readonly op: 'flush' }
  | { readonly op: 'read'; readonly statements: readonly Statement[]; readonly budgetMs: number }
  | { readonly op: 'checksum' }
  /** Removes what a process before this one left of snapshots; the writer's first. */
  | { readonly op: 'sweep'; readonly keepsRestore: boolean }
  /** The file that was checked takes the database's place; the writer goes on with it. */
  | { readonly op: 'swap' }
  | CopierCallBody
  | { readonly op: 'close' }

export type CopierCallBody =
  | { readonly op: 'beginSnapshot'; readonly slot: number }
  /** What is applied now is what is taken. */
  | { readonly op: 'pinSnapshot' }
  | { readonly op: 'takeSnapshot' }
  | { readonly op: 'readSnapshot'; readonly offset: number; readonly lengthBytes: number }
  | { readonly op: 'dropSnapshot' }
  | {
      readonly op: 'beginRestore'
      readonly description: SnapshotDescription
      readonly resumes: boolean
    }
  | { readonly op: 'writeRestore'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly op: 'readRestore'; readonly offset: number; readonly lengthMax: number }
  | { readonly op: 'syncRestore' }
  | { readonly op: 'suspendRestore' }
  | {
      readonly op: 'checkRestore'
      readonly description: SnapshotDescription
      readonly writes: readonly SystemWrite[]
    }
  | { readonly op: 'dropRestore' }

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

export type HostKind = 'writer' | 'reader' | 'copier'

export interface ChannelHandlers {
  onReplies(replies: readonly EngineReply[]): void
  /** It ended by itself; nothing more is answered. */
  onExit(reason: string): void
}

/** The way to one writer, reader or copier, wherever it runs. Calls are executed in order. */
export interface EngineChannel {
  post(calls: readonly EngineCall[]): void
  /**
   * Nothing more is answered. False when what runs there cannot be stopped and goes on until it
   * ends by itself.
   */
  kill(): Promise<boolean>
}

export type ChannelOpener = (kind: HostKind, handlers: ChannelHandlers) => EngineChannel
