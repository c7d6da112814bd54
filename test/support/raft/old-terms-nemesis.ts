/**
 * Brings about the figure of "entries of older terms" (dissertation, figure 3.7), again and again:
 * a leader's entries reach a minority; a successor has one entry of its own, which nobody gets;
 * the first leader returns and brings its old entries to a majority, but nothing of its new term;
 * it crashes, and the successor overwrites them. Whoever has counted them as committed is wrong.
 */
import type { RaftMessage } from '../../../src/consensus/index.js'
import {
  type LogEntry,
  pick,
  type Random,
  type ReplicaId,
  shuffle,
  type Term
} from '../../../src/core/index.js'

export interface NemesisNode {
  readonly id: ReplicaId
  readonly leads: Term | null
  /** As the core sees it. */
  readonly view: { readonly entries: readonly LogEntry[] }
  /** What is durable. */
  readonly image: { readonly entries: readonly LogEntry[] }
}

export interface NemesisHands<Node extends NemesisNode = NemesisNode> {
  readonly random: Random
  /** At least three. */
  readonly nodes: readonly Node[]
  now(): number
  /** Links within one of the groups stand, all others are cut; starts who is down. */
  connect(...groups: readonly (readonly Node[])[]): void
  crash(node: Node): void
  propose(node: Node): void
  count(fault: string): void
}

type Phase = 'calm' | 'minority' | 'successor' | 'return' | 'overwrite'

/** A phase that does not come to its end is given up. */
const phaseMaxMs = 1_500
/** For answers to arrive and be counted. */
const countingMs = 120

export class OldTermsNemesis {
  readonly #hands: NemesisHands
  readonly #quorum: number
  #phase: Phase = 'calm'
  #since = 0
  #term = 0
  #sides: readonly [readonly NemesisNode[], readonly NemesisNode[]] = [[], []]
  #successor: NemesisNode | null = null
  #replicatedAt: number | null = null

  constructor(hands: NemesisHands) {
    this.#hands = hands
    this.#quorum = Math.floor(hands.nodes.length / 2) + 1
  }

  tick(): void {
    if (this.#hands.now() - this.#since > phaseMaxMs) this.#calmDown()
    switch (this.#phase) {
      case 'calm':
        this.#maybeSplit()
        break
      case 'minority':
        this.#maybeElectSuccessor()
        break
      case 'successor':
        this.#maybeReturn()
        break
      case 'return':
        this.#maybeOverwrite()
        break
      case 'overwrite':
        this.#maybeCalmDown()
        break
    }
  }

  /** A leader's own entries, where they would be taken: its older ones go through. */
  loses(message: RaftMessage): boolean {
    if (this.#phase !== 'successor' && this.#phase !== 'return') return false
    if (message.kind !== 'appendEntries') return false
    const receiver = this.#hands.nodes.find(({ id }) => id === message.to)
    const previous = receiver?.view.entries[message.prevIndex - 1]
    return (
      message.entries.some(({ term }) => term === message.term) &&
      previous?.term === message.prevTerm
    )
  }

  #maybeSplit(): void {
    const { nodes, random } = this.#hands
    const leader = this.#leaderAbove(this.#term)
    if (leader === undefined) return
    this.#term = leader.leads ?? this.#term
    const others = shuffle(
      random,
      nodes.filter((node) => node !== leader)
    )
    const helpers = others.slice(0, nodes.length - this.#quorum - 1)
    this.#sides = [[leader, ...helpers], others.slice(helpers.length)]
    this.#hands.connect(...this.#sides)
    for (let i = random.nextInt(2); i >= 0; i--) this.#hands.propose(leader)
    this.#enter('minority')
  }

  #maybeElectSuccessor(): void {
    const [[leader, ...helpers]] = this.#sides
    const last = leader?.view.entries.at(-1)
    if (last?.term !== this.#term) this.#calmDown()
    else if (helpers.every(({ image }) => holds(image.entries, last))) this.#enter('successor')
  }

  #maybeReturn(): void {
    const successor = this.#leaderAbove(this.#term)
    if (successor === undefined || !this.#sides[1].includes(successor)) return
    if (successor.image.entries.at(-1)?.term !== successor.leads) return
    this.#term = successor.leads ?? this.#term
    this.#successor = successor
    if (this.#hands.random.nextInt(2) === 0) this.#hands.crash(successor)
    this.#hands.connect(
      [successor],
      this.#hands.nodes.filter((node) => node !== successor)
    )
    this.#replicatedAt = null
    this.#enter('return')
  }

  #maybeOverwrite(): void {
    const { nodes, now, random } = this.#hands
    const leader = this.#leaderAbove(this.#term)
    const successor = this.#successor
    if (leader === undefined || successor === null) return
    const old = leader.view.entries.findLast(({ term }) => term < (leader.leads ?? 0))
    const holders = nodes.filter(({ image }) => old !== undefined && holds(image.entries, old))
    if (holders.length < this.#quorum) return
    this.#replicatedAt ??= now()
    if (now() - this.#replicatedAt < countingMs) return
    this.#term = leader.leads ?? this.#term
    const others = nodes.filter((node) => node !== leader && node !== successor)
    const electors = shuffle(random, others).slice(0, this.#quorum - 1)
    if (random.nextInt(2) === 0) this.#hands.crash(leader)
    this.#hands.connect([successor, ...electors])
    this.#hands.count('oldTerms')
    this.#enter('overwrite')
  }

  #maybeCalmDown(): void {
    const leader = this.#leaderAbove(this.#term)
    if (leader !== undefined && this.#hands.now() - this.#since > countingMs) this.#calmDown()
  }

  #calmDown(): void {
    this.#hands.connect(this.#hands.nodes)
    this.#enter('calm')
  }

  #enter(phase: Phase): void {
    this.#phase = phase
    this.#since = this.#hands.now()
  }

  #leaderAbove(term: number): NemesisNode | undefined {
    const leaders = this.#hands.nodes.filter(({ leads }) => leads !== null && leads > term)
    return leaders.length === 0 ? undefined : pick(this.#hands.random, leaders)
  }
}

const holds = (entries: readonly LogEntry[], entry: LogEntry): boolean =>
  entries[entry.index - 1]?.term === entry.term
