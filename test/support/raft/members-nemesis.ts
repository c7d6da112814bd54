/**
 * Changes members at the worst moments, again and again, among five replicas:
 *
 * - `halves`: of three voters all but the leader are replaced, and the joint configuration reaches
 *   the new half alone. The old half elects a leader and commits; then the new half elects one.
 * - `earlyRemoval`: a leader makes a voter of a learner, which only these two hear of. The others
 *   elect a successor, which at once, before anything of its term is committed, removes the first
 *   leader, and only one other hears of that. Then the first leader campaigns among the rest.
 * - `lateRemoval`: the same, but the first leader's change is rolled back everywhere before the
 *   successor removes it. Whoever holds on to what was rolled back counts wrongly.
 */
import type { ChangeOutcome, MemberRole, Raft } from '../../../src/consensus/index.js'
import { pick, type ReplicaId, shuffle } from '../../../src/core/index.js'
import type { NemesisHands, NemesisNode } from './old-terms-nemesis.js'

export interface MembersNode extends NemesisNode {
  readonly raft: Raft | null
}

export interface MembersHands extends NemesisHands<MembersNode> {
  change(leader: MembersNode, roles: ReadonlyMap<ReplicaId, MemberRole>): ChangeOutcome['kind']
}

type Dance = 'halves' | 'earlyRemoval' | 'lateRemoval'
type Phase = 'calm' | 'apart' | 'rolledBack' | 'end'

/** A phase that does not come to its end is given up. */
const phaseMaxMs = 1_500
const calmMs = 100
/** For a removal that a correct successor refuses. */
const insistingMs = 150
/** For the campaigns at the end. */
const endMs = 700

export class MembersNemesis {
  readonly #hands: MembersHands
  #dance: Dance = 'halves'
  #phase: Phase = 'calm'
  #since = 0
  #term = 0
  #first: MembersNode
  /** The first leader and whom it makes voters; the others. */
  #sides: readonly [readonly MembersNode[], readonly MembersNode[]] = [[], []]
  #successor: MembersNode | null = null
  #witness: MembersNode | null = null

  constructor(hands: MembersHands) {
    this.#hands = hands
    this.#first = pick(hands.random, hands.nodes)
    this.#choose()
  }

  tick(): void {
    const lastedMs = this.#hands.now() - this.#since
    if (lastedMs > phaseMaxMs) this.#calmDown()
    switch (this.#phase) {
      case 'calm':
        if (lastedMs > calmMs) this.#maybeBegin()
        break
      case 'apart':
        this.#maybeSucceed()
        break
      case 'rolledBack':
        this.#maybeRemoveLate()
        break
      case 'end':
        if (lastedMs > endMs) this.#calmDown()
        else if (this.#dance === 'earlyRemoval' && lastedMs > insistingMs) this.#return()
        else if (this.#dance === 'earlyRemoval') this.#removeFirst()
        break
    }
  }

  loses(): boolean {
    return false
  }

  /** Everybody is what the dance wants at its beginning, or is made so. */
  #maybeBegin(): void {
    const leader = this.#leaderAbove(0)
    if (leader === undefined) return
    const { configuration } = leader.raft as Raft
    const { nodes } = this.#hands
    const isVoter = ({ id }: MembersNode) => configuration.voters.includes(id)
    const isMember = (node: MembersNode) =>
      isVoter(node) || configuration.learners.includes(node.id)
    const others = nodes.filter((node) => node !== leader)
    const voters = [leader, ...others.filter(isVoter), ...others.filter((node) => !isVoter(node))]
    const wanted = voters.slice(0, this.#dance === 'halves' ? 3 : 4)
    const strangers = nodes.filter((node) => !isMember(node))
    const roleOf = (node: MembersNode): MemberRole => (wanted.includes(node) ? 'voter' : 'learner')
    const roles =
      strangers.length > 0
        ? strangers.map(({ id }): [ReplicaId, MemberRole] => [id, 'learner'])
        : nodes.map((node): [ReplicaId, MemberRole] => [node.id, roleOf(node)])
    if (this.#hands.change(leader, new Map(roles)) !== 'unchanged') return
    this.#begin(leader, wanted)
  }

  #begin(leader: MembersNode, voters: readonly MembersNode[]): void {
    const { nodes } = this.#hands
    const learners = nodes.filter((node) => !voters.includes(node))
    const rest = voters.filter((node) => node !== leader)
    const roles = new Map(learners.map(({ id }): [ReplicaId, MemberRole] => [id, 'voter']))
    if (this.#dance === 'halves') for (const { id } of rest) roles.set(id, 'learner')
    if (this.#hands.change(leader, roles) !== 'proposed') return
    this.#first = leader
    this.#term = leader.leads ?? this.#term
    this.#sides = [[leader, ...learners], rest]
    this.#hands.connect(...this.#sides)
    this.#enter('apart')
  }

  #maybeSucceed(): void {
    const [inside, outside] = this.#sides
    const change = this.#first.view.entries.findLast(({ term }) => term <= this.#term)
    const successor = this.#leaderAbove(this.#term)
    if (successor === undefined || !outside.includes(successor)) return
    const hasIt = (node: MembersNode) =>
      change !== undefined && node.view.entries[change.index - 1]?.term === change.term
    if (!inside.every(hasIt)) return
    const { random } = this.#hands
    this.#successor = successor
    this.#term = successor.leads ?? this.#term
    const rest = outside.filter((node) => node !== successor)
    this.#witness = pick(random, rest)
    this.#hands.count(this.#dance)
    if (this.#dance === 'halves') {
      this.#hands.propose(successor)
      if (random.nextInt(2) === 0) this.#hands.crash(this.#first)
      this.#enter('end')
    } else if (this.#dance === 'earlyRemoval') {
      const apart = rest.filter((node) => node !== this.#witness)
      this.#hands.connect([successor, this.#witness], inside, apart)
      this.#enter('end')
    } else {
      this.#hands.connect(this.#hands.nodes)
      this.#enter('rolledBack')
    }
  }

  /** The first leader has the successor's entries in place of its own. */
  #maybeRemoveLate(): void {
    const { entries } = this.#first.view
    if (this.#successor?.leads !== this.#term) this.#calmDown()
    else if (entries.at(-1)?.term === this.#term && this.#removeFirst() === 'proposed') {
      this.#return()
    }
  }

  #removeFirst(): ChangeOutcome['kind'] {
    if (this.#successor === null || this.#successor.leads !== this.#term) return 'refused'
    return this.#hands.change(this.#successor, new Map([[this.#first.id, 'none']]))
  }

  /** The successor and its witness are cut off, the first leader may campaign among the rest. */
  #return(): void {
    const { nodes } = this.#hands
    const pair = nodes.filter((node) => node === this.#successor || node === this.#witness)
    this.#hands.connect(
      pair,
      nodes.filter((node) => !pair.includes(node))
    )
    if (this.#phase !== 'end') this.#enter('end')
  }

  #calmDown(): void {
    this.#hands.connect(this.#hands.nodes)
    this.#choose()
    this.#enter('calm')
  }

  #choose(): void {
    this.#dance = pick(this.#hands.random, ['halves', 'earlyRemoval', 'lateRemoval'])
  }

  #enter(phase: Phase): void {
    this.#phase = phase
    this.#since = this.#hands.now()
  }

  #leaderAbove(term: number): MembersNode | undefined {
    const leaders = this.#hands.nodes.filter(({ leads }) => leads !== null && leads > term)
    return shuffle(this.#hands.random, leaders)[0]
  }
}
