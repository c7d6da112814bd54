import type { Consistency, SqlValue } from '../../core/index.js'
import type { AdminClient, Outcome } from '../admin-client.js'
import type { QueryAnswer } from '../query-command.js'
import { reasonOf, type Verdict, Verdicts, verdictOfRead, verdictOfWrite } from './retry-rules.js'

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

/** Talks to whichever node answers, and never sends a write again that may have been done. */
export class ClusterClient {
  readonly #nodes: readonly AdminClient[]

  constructor(nodes: readonly AdminClient[]) {
    this.#nodes = nodes
  }

  write(statements: readonly DemoStatement[], options: CallOptions): Promise<CallResult> {
    return this.#call({ statements }, options, verdictOfWrite)
  }

  read(
    statement: DemoStatement,
    consistency: Consistency,
    options: CallOptions
  ): Promise<CallResult> {
    return this.#call({ statements: [statement], consistency }, options, verdictOfRead)
  }

  close(): void {
    for (const node of this.#nodes) node.close()
  }

  async #call(
    query: object,
    options: CallOptions,
    verdictOf: (outcome: Outcome) => Verdict
  ): Promise<CallResult> {
    const deadline = performance.now() + options.timeoutMs
    for (let attempt = 0; ; attempt++) {
      const leftMs = deadline - performance.now()
      const timeoutMs = Math.ceil(Math.min(leftMs, attemptTimeoutMs))
      const outcome = await this.#attempt(options.home + attempt, query, timeoutMs)
      const verdict = verdictOf(outcome)
      if (verdict === Verdicts.Done && outcome.kind === 'answer') {
        return { kind: 'done', results: resultsOf(outcome.body) }
      }
      const reason = reasonOf(outcome)
      if (verdict === Verdicts.Indeterminate) return { kind: 'indeterminate', reason }
      const isLate = performance.now() + retryPauseMs >= deadline
      if (verdict === Verdicts.Failed || isLate) return { kind: 'failed', reason }
      await new Promise((resolve) => setTimeout(resolve, retryPauseMs))
    }
  }

  #attempt(turn: number, query: object, timeoutMs: number): Promise<Outcome> {
    const node = this.#nodes[turn % this.#nodes.length] as AdminClient
    // The node gives up first, so that its answer says what became of the query.
    const body = { ...query, timeoutMs: Math.max(1, timeoutMs - 500) }
    return node.post('/v1/query', body, timeoutMs)
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
