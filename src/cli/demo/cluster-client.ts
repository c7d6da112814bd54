import type { Consistency, SqlValue } from '../../core/index.js'
import type { AdminClient, Outcome } from '../admin-client.js'
import type { QueryAnswer } from '../query-answer.js'
import {
  leavesDoubt,
  reasonOf,
  type Verdict,
  Verdicts,
  verdictOfRead,
  verdictOfTaggedWrite,
  verdictOfWrite
} from './retry-rules.js'

export interface DemoStatement {
  readonly sql: string
  readonly params?: readonly SqlValue[]
}

export type CallResult =
  | { readonly kind: 'done'; readonly results: readonly QueryAnswer[] }
  | { readonly kind: 'indeterminate' | 'failed'; readonly reason: string }

export interface CallOptions {
  /** The node asked first. */
  readonly home: number
  readonly timeoutMs: number
}

/** Of one attempt; an answer that takes longer counts as lost. */
const attemptTimeoutMs = 5_000
const retryPauseMs = 20

/** Whose write it is, and which of them; registered before. */
export interface WriteTag {
  readonly clientId: string
  readonly serial: number
}

/**
 * Talks to whichever node answers. A write without a tag is never sent again when it may have been
 * done; one with a tag is sent until it is answered, and executed once.
 */
export class ClusterClient {
  readonly #nodes: readonly AdminClient[]

  constructor(nodes: readonly AdminClient[]) {
    this.#nodes = nodes
  }

  write(statements: readonly DemoStatement[], options: CallOptions): Promise<CallResult> {
    return this.#call('/v1/query', { statements }, options, verdictOfWrite)
  }

  /** Serials of a client rise by one, and each is answered before the next is sent. */
  writeOnce(
    statements: readonly DemoStatement[],
    tag: WriteTag,
    options: CallOptions
  ): Promise<CallResult> {
    const client = { ...tag, answeredBelow: tag.serial }
    return this.#call('/v1/query', { statements, client }, options, verdictOfTaggedWrite)
  }

  read(
    statement: DemoStatement,
    consistency: Consistency,
    options: CallOptions
  ): Promise<CallResult> {
    return this.#call('/v1/query', { statements: [statement], consistency }, options, verdictOfRead)
  }

  /** Makes tagged writes of the client possible; registering twice is harmless. */
  register(clientId: string, options: CallOptions): Promise<CallResult> {
    return this.#call('/v1/clients', { clientId }, options, verdictOfRead)
  }

  close(): void {
    for (const node of this.#nodes) node.close()
  }

  async #call(
    path: string,
    query: object,
    options: CallOptions,
    verdictOf: (outcome: Outcome) => Verdict
  ): Promise<CallResult> {
    const deadline = performance.now() + options.timeoutMs
    let isInDoubt = false
    for (let attempt = 0; ; attempt++) {
      const leftMs = deadline - performance.now()
      const timeoutMs = Math.ceil(Math.min(leftMs, attemptTimeoutMs))
      const outcome = await this.#attempt(options.home + attempt, path, query, timeoutMs)
      const verdict = verdictOf(outcome)
      if (verdict === Verdicts.Done && outcome.kind === 'answer') {
        return { kind: 'done', results: resultsOf(outcome.body) }
      }
      const reason = reasonOf(outcome)
      isInDoubt ||= leavesDoubt(outcome)
      const isLate = performance.now() + retryPauseMs >= deadline
      if (verdict !== Verdicts.Retry || isLate) {
        return { kind: isInDoubt ? 'indeterminate' : 'failed', reason }
      }
      await new Promise((resolve) => setTimeout(resolve, retryPauseMs))
    }
  }

  #attempt(turn: number, path: string, query: object, timeoutMs: number): Promise<Outcome> {
    const node = this.#nodes[turn % this.#nodes.length] as AdminClient
    // The node gives up first, so that its answer says what became of the query.
    const body = { ...query, timeoutMs: Math.max(1, timeoutMs - 500) }
    return node.post(path, body, timeoutMs)
  }
}

/** One result per statement, in an array or in the field `results`. */
function resultsOf(body: unknown): readonly QueryAnswer[] {
  if (Array.isArray(body)) return body
  if (typeof body === 'object' && body !== null && 'results' in body) {
    return body.results as readonly QueryAnswer[]
  }
  return [body as QueryAnswer]
}
