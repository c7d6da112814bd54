import type { PacedWriter } from './paced-writer.js'

export const losses = ['kill -9', 'black hole', 'switchover', 'stop'] as const
/**
 * How a leader is lost: SIGKILL, whose connections the others see close; SIGSTOP, after which
 * nothing is heard of it and nothing closes; leadership moved on request; SIGTERM.
 */
export type Loss = (typeof losses)[number]

/** Three processes with a leader that can be lost again and again. */
export interface FailoverSubject {
  readonly name: string
  /** Its writes do not depend on the leader's process. */
  readonly writer: PacedWriter
  /** All three are there and know the leader; then the next loss may come. */
  untilWhole(): Promise<void>
  /** Nothing of earlier losses keeps anybody from leading. */
  untilWell(): Promise<void>
  /** Resolves when it has been done: signalled, moved, or stopped. */
  lose(loss: Loss): Promise<void>
  /** When the first node told of another leader than the lost one; null: nobody tells. */
  readonly ledAgainAt: number | null
  /** Whoever is missing comes back. */
  mend(): Promise<void>
  stop(): Promise<void>
}
