/**
 * Invariants 7 and 8: what leaves a node as a promise is on its disk already, is still there after
 * a restart, and no replica votes twice in a term.
 */
import type { HardState, ObservedMessage, PersistRequest } from '../core/index.js'
import { hostName } from './host-name.js'
import { Invariants, type Violations } from './violations.js'

const nothingPromised: HardState = { term: 0 as HardState['term'], vote: null }

export class PromiseInvariants {
  readonly #violations: Pick<Violations, 'report'>
  /** Up to where a host's log is durable. */
  readonly #durableIndex: (host: number) => number
  readonly #durable: HardState[] = []
  /** The term that a host is in, durable or not. */
  readonly #terms: number[] = []
  /** The highest index that a host has had on its disk since it started. */
  readonly #everDurable: number[] = []
  /** `replica term` → candidate. */
  readonly #votes = new Map<string, string>()
  readonly #promisedTerms = new Map<string, number>()

  constructor(violations: Pick<Violations, 'report'>, durableIndex: (host: number) => number) {
    this.#violations = violations
    this.#durableIndex = durableIndex
  }

  onRecovered(host: number, replicaId: string, hardState: HardState): void {
    this.#durable[host] = hardState
    this.#terms[host] = hardState.term
    this.#everDurable[host] = this.#durableIndex(host)
    const promised = this.#promisedTerms.get(replicaId) ?? 0
    if (hardState.term < promised) {
      this.#report(
        `${hostName(host)} sent in term ${promised} and recovered term ${hardState.term}`
      )
    }
    const vote = this.#votes.get(`${replicaId} ${hardState.term}`)
    if (vote !== undefined && vote !== hardState.vote) {
      const given = `gave ${vote} its vote of term ${hardState.term}`
      this.#report(`${hostName(host)} ${given}, recovered ${hardState.vote}`)
    }
  }

  onPersist(host: number, { hardState }: PersistRequest): void {
    if (hardState !== null) this.#terms[host] = hardState.term
  }

  onPersisted(host: number, { hardState, base, entries }: PersistRequest): void {
    if (hardState !== null) this.#durable[host] = hardState
    const last = entries.at(-1)?.index ?? base?.base.index ?? 0
    this.#everDurable[host] = Math.max(this.#everDurable[host] ?? 0, last)
  }

  /** A message leaves the node; a question before an election promises nothing. */
  onSend(host: number, message: ObservedMessage): void {
    const { kind, from, to, granted } = message
    if (kind === 'preVote' || kind === 'preVoteResponse') return
    this.#checkTerm(host, message)
    if (kind === 'vote') this.#checkVote(host, message, from)
    if (kind === 'voteResponse' && granted) this.#checkVote(host, message, to)
    const { rejected, index = 0 } = message
    if (kind === 'appendEntriesResponse' && !rejected) this.#checkAcknowledged(host, message, index)
  }

  /**
   * An acknowledgement may have waited for its sync while a later leader had the entry replaced:
   * then it is of an older term than the node is in by now, and it was true when it was made.
   */
  #checkAcknowledged(host: number, { from, term }: ObservedMessage, index: number): void {
    const isLate = term < (this.#terms[host] ?? 0)
    const durable = isLate ? this.#everDurable[host] : this.#durableIndex(host)
    if (index <= (durable ?? 0)) return
    this.#report(`${from} acknowledges entry ${index} in term ${term} with ${durable} durable`)
  }

  #checkTerm(host: number, { kind, from, term }: ObservedMessage): void {
    const durable = this.#durable[host] ?? nothingPromised
    if (term > (this.#promisedTerms.get(from) ?? 0)) this.#promisedTerms.set(from, term)
    if (term <= durable.term) return
    this.#report(`${from} sends ${kind} in term ${term} with term ${durable.term} durable`)
  }

  /** A vote leaves the node, or a request for votes, which is a vote for oneself. */
  #checkVote(host: number, { from, term }: ObservedMessage, candidate: string): void {
    const durable = this.#durable[host] ?? nothingPromised
    if (durable.term === term && durable.vote !== candidate) {
      this.#report(`${from} votes for ${candidate} in term ${term}, durable is ${durable.vote}`)
    }
    const key = `${from} ${term}`
    const earlier = this.#votes.get(key)
    if (earlier === undefined) this.#votes.set(key, candidate)
    else if (earlier !== candidate) {
      const detail = `${from} voted in term ${term} for ${earlier} and for ${candidate}`
      this.#violations.report(Invariants.OneVotePerTerm, detail)
    }
  }

  #report(detail: string): void {
    this.#violations.report(Invariants.DurablePromises, detail)
  }
}
