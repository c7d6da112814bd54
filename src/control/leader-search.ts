/**
 * Whom a node without a replica of the control group asks: the leader that it last heard of, else
 * one member after the other.
 */

import { SkeinError } from '../core/errors.js'
import type { NodeId } from '../core/ids.js'

export class LeaderSearch {
  readonly #self: NodeId
  #leader: NodeId | null = null
  #asked: NodeId | null = null

  constructor(self: NodeId) {
    this.#self = self
  }

  /** The last one that answered or that others named. */
  get leader(): NodeId | null {
    return this.#leader
  }

  /** Null: there is nobody to ask. */
  next(members: readonly NodeId[]): NodeId | null {
    if (this.#leader !== null) return this.#leader
    const others = members.filter((member) => member !== this.#self)
    const at = this.#asked === null ? -1 : others.indexOf(this.#asked)
    this.#asked = others[(at + 1) % others.length] ?? null
    return this.#asked
  }

  handleAnswer(by: NodeId): void {
    this.#leader = by
  }

  /** Whoever failed may name another; if not, the next member is asked. */
  handleFailure(error: unknown): void {
    this.#leader = error instanceof SkeinError ? (error.leaderHint ?? null) : null
  }
}
