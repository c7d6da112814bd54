/**
 * Watches a cluster of Raft cores from outside: what they persist, send and emit. Each check throws
 * with the number of the invariant of RELIABILITY 1.3 that is broken.
 */
import {
  type Configuration,
  configurationIn,
  type RaftEvent,
  type RaftMessage,
  type RaftPersist
} from '../../../src/consensus/index.js'
import type {
  HardState,
  LogBase,
  LogEntry,
  LogIndex,
  ReplicaId,
  Term
} from '../../../src/core/index.js'
import { haveDisjointQuorums } from './disjoint-quorums.js'

/** What survives a crash. */
export interface Image {
  hardState: HardState
  base: LogBase | null
  /** Behind the base. */
  entries: LogEntry[]
}

export const lastOf = ({ base, entries }: Image): number => (base?.index ?? 0) + entries.length

const termOf = ({ base, entries }: Image, index: number): number =>
  index === base?.index ? base.term : (entries[index - (base?.index ?? 0) - 1]?.term ?? 0)

/** What stands there, as far as its configuration goes. */
const configurationEntry = (base: LogBase): LogEntry => ({
  index: base.configurationIndex,
  term: base.term,
  payload: base.configuration
})

/** With the request's base, without its entries. */
export function rebased(image: Image, request: RaftPersist): Image {
  if (request.base === null) return image
  const { base, replacesLog } = request.base
  const entries = replacesLog ? [] : image.entries.filter(({ index }) => index > base.index)
  return { ...image, base, entries }
}

const entryOf = ({ base, entries }: Image, index: number): LogEntry | undefined =>
  entries[index - (base?.index ?? 0) - 1]

export class RaftViolation extends Error {
  constructor(
    readonly invariant: string,
    message: string
  ) {
    super(`${invariant}: ${message}`)
  }
}

export class RaftChecks {
  readonly committed: LogEntry[] = []
  /** The last index that some leader has told its clients. */
  acknowledgedIndex = 0
  elections = 0
  /** Configurations behind the founding one, each told once. */
  configurations = 0
  /** Of the replica that first told a commit: no lower than the term in which it was decided. */
  readonly #commitTerms: Term[] = []
  readonly #leaderOf = new Map<Term, ReplicaId>()
  readonly #votes = new Map<string, ReplicaId>()
  readonly #previousTerm = new Map<string, string>()
  readonly #readFloors = new Map<string, number>()
  readonly #pairs = new Set<string>()

  /** `commitIndex` is the replica's own. */
  persisted(
    replica: ReplicaId,
    image: Image,
    request: RaftPersist,
    leads: Term | null,
    commitIndex: LogIndex
  ): void {
    const first = request.entries[0]
    if (request.base !== null) this.#based(replica, request.base.base)
    const log = rebased(image, request)
    const before = log.entries.filter(({ index }) => index < (first?.index ?? 1))
    if (log.base !== null) before.unshift(configurationEntry(log.base))
    for (const [i, entry] of request.entries.entries()) {
      if (configurationIn(entry.payload) === null) continue
      const isOwn = leads === entry.term
      this.#configured(entry, [...before, ...request.entries.slice(0, i)], isOwn, commitIndex)
    }
    if (request.hardState !== null) {
      const { term, vote } = image.hardState
      hold('7 term', request.hardState.term >= term, `${replica}: ${term} fell`)
      const changed = vote !== null && request.hardState.vote !== vote
      hold('8 vote', request.hardState.term > term || !changed, `${replica} changed its vote`)
    }
    if (first === undefined) return
    if (leads !== null && leads === first.term) {
      hold('2 append-only', first.index > lastOf(log), `${replica} overwrote ${first.index}`)
    }
    for (const entry of request.entries) {
      const previous = request.entries[entry.index - first.index - 1]?.term
      const key = `${entry.index}/${entry.term}`
      const content = `${previous ?? termOf(log, entry.index - 1)}/${text(entry)}`
      const known = this.#previousTerm.get(key)
      hold('3 log matching', known === undefined || known === content, `${replica} at ${key}`)
      this.#previousTerm.set(key, content)
    }
  }

  /** `durable` is the sender's image at the moment at which the message leaves. */
  sent(message: RaftMessage, durable: Image): void {
    const { from, kind, term } = message
    const { hardState } = durable
    const last = lastOf(durable)
    const isForecast = kind === 'preVote' || (kind === 'preVoteResponse' && message.granted)
    hold('7 term durable', isForecast || term <= hardState.term, `${from} told ${term} in ${kind}`)
    if (kind === 'voteResponse' && message.granted) this.#voted(from, term, message.to, hardState)
    if (kind === 'vote') this.#voted(from, term, from, hardState)
    if (kind === 'appendEntriesResponse' && !message.rejected) {
      hold(
        '9 ack durable',
        term < hardState.term || message.index <= last,
        `${from} acknowledged ${message.index} with ${last} on disk`
      )
    }
  }

  emitted(replica: ReplicaId, event: RaftEvent, image: Image, term: Term): void {
    switch (event.type) {
      case 'RoleChanged':
        if (event.role === 'leader') this.#led(replica, event.term, image)
        break
      case 'Committed':
        for (const entry of event.entries) this.#commit(replica, entry, term)
        if (this.#leaderOf.get(term) === replica) {
          this.acknowledgedIndex = Math.max(
            this.acknowledgedIndex,
            event.entries.at(-1)?.index ?? 0
          )
        }
        break
      case 'ReadReady': {
        const floor = this.#readFloors.get(`${replica}/${event.requestId}`)
        hold('read', floor !== undefined, `${replica} answered read ${event.requestId} twice`)
        this.#readFloors.delete(`${replica}/${event.requestId}`)
        hold('read', event.index >= (floor ?? 0), `${replica} read ${event.index} below ${floor}`)
        break
      }
      case 'RolledBack':
        hold('no false proof', false, `${replica} is said to have lost ${event.lost.index}`)
        break
      default:
    }
  }

  #configured(
    entry: LogEntry,
    log: readonly LogEntry[],
    isOwn: boolean,
    commitIndex: LogIndex
  ): void {
    const last = log.findLast(({ payload }) => configurationIn(payload) !== null)
    if (last === undefined) return
    const pair = [last, entry].map(text).join('/')
    if (!this.#pairs.has(pair)) {
      this.#pairs.add(pair)
      this.configurations++
      const [a, b] = [last, entry].map(({ payload }) => configurationIn(payload))
      const isApart = haveDisjointQuorums(a as Configuration, b as Configuration)
      hold('10 adjacent quorums', !isApart, `of ${last.index} and ${entry.index}`)
    }
    const isFinal = !isOwn || last.index <= commitIndex
    hold('10 one change', isFinal, `${entry.index} while ${last.index} is pending`)
  }

  /** It stands for nothing but what was committed, and for the configuration in force at it. */
  #based(replica: ReplicaId, base: LogBase): void {
    const entry = this.committed[base.index - 1]
    const isRight = entry?.term === base.term
    hold('base committed', isRight, `${replica} has base ${base.index}/${base.term}`)
    const newest = this.committed
      .slice(0, base.index)
      .findLast(({ payload }) => configurationIn(payload) !== null)
    const isSame =
      newest?.index === base.configurationIndex && text(newest) === base.configuration.join(',')
    hold('base configuration', isSame, `${replica} at base ${base.index}`)
  }

  readAsked(replica: ReplicaId, requestId: number): void {
    this.#readFloors.set(`${replica}/${requestId}`, this.acknowledgedIndex)
  }

  /** A restarted replica stands on its image. */
  restarted(
    replica: ReplicaId,
    image: Image,
    status: { term: Term; vote: ReplicaId | null }
  ): void {
    const { term, vote } = image.hardState
    hold('7 term', status.term === term && status.vote === vote, `${replica} lost its vote`)
  }

  #voted(voter: ReplicaId, term: Term, candidate: ReplicaId, durable: HardState): void {
    const key = `${voter}/${term}`
    const before = this.#votes.get(key)
    hold('8 vote', before === undefined || before === candidate, `${voter} voted twice in ${term}`)
    this.#votes.set(key, candidate)
    hold(
      '8 vote durable',
      durable.term > term || (durable.term === term && durable.vote === candidate),
      `${voter} told its vote in ${term} before it was durable`
    )
  }

  #led(replica: ReplicaId, term: Term, image: Image): void {
    const other = this.#leaderOf.get(term)
    hold('1 one leader', other === undefined, `${replica} and ${other} lead term ${term}`)
    this.#leaderOf.set(term, replica)
    this.elections++
    // A late vote may still elect a leader of an older term than the commit's; it cannot commit.
    const lost = this.committed.find(
      (entry, i) =>
        (this.#commitTerms[i] ?? 0) <= term &&
        entry.index > (image.base?.index ?? 0) &&
        !same(entry, entryOf(image, entry.index))
    )
    hold('4 leader completeness', lost === undefined, `${replica} leads without ${lost?.index}`)
  }

  #commit(replica: ReplicaId, entry: LogEntry, term: Term): void {
    const known = this.committed[entry.index - 1]
    if (known === undefined) {
      hold('6 commit order', entry.index === this.committed.length + 1, `${replica}: gap`)
      this.committed.push(entry)
      this.#commitTerms.push(term)
    } else {
      hold('5 same bytes', same(known, entry), `${replica} applied another entry ${entry.index}`)
    }
  }
}

export class ApplyCheck {
  applied: LogIndex
  #unappliedBytes = 0
  readonly #unappliedBytesMax: number

  constructor(applied: LogIndex, unappliedBytesMax: number) {
    this.applied = applied
    this.#unappliedBytesMax = unappliedBytesMax
  }

  /** The core has heard that all of it is applied. */
  told(): void {
    this.#unappliedBytes = 0
  }

  /** A snapshot has brought everything up to `index`. */
  restored(index: LogIndex): void {
    this.applied = index
    this.#unappliedBytes = 0
  }

  emitted(replica: ReplicaId, event: RaftEvent, durableLength: number): void {
    if (event.type !== 'Committed') return
    for (const entry of event.entries) {
      hold('6 applied once', entry.index === this.applied + 1, `${replica} applied ${entry.index}`)
      this.applied = entry.index
      const isFirst = this.#unappliedBytes === 0
      this.#unappliedBytes += entry.payload.length
      hold(
        '15 bounded',
        isFirst || this.#unappliedBytes <= this.#unappliedBytesMax,
        `${replica} was handed ${this.#unappliedBytes} bytes`
      )
    }
    hold('6 apply durable', this.applied <= durableLength, `${replica} is ahead of its log`)
  }
}

export function hold(invariant: string, condition: boolean, message: string): void {
  if (!condition) throw new RaftViolation(invariant, message)
}

const text = (entry: LogEntry): string => entry.payload.join(',')

const same = (a: LogEntry, b: LogEntry | undefined): boolean =>
  b !== undefined && a.index === b.index && a.term === b.term && text(a) === text(b)
