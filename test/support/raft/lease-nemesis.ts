/**
 * Deposes leaders that hold a lease, again and again, as soon as others let it, while reads at them
 * go on. The old leader is cut off alone, and
 *
 * - `lost`: the others hear that their connections to it broke;
 * - `restart`: of the quorum that the lease rests on all others start anew; those that were cut off
 *   long before campaign;
 * - `transfer`: it has told a successor to campaign;
 * - `pause`: it stands still, and reads as soon as it goes on.
 */
import { pick, shuffle } from '../../../src/core/index.js'
import type { MembersNode } from './members-nemesis.js'
import type { NemesisHands } from './old-terms-nemesis.js'

export interface LeaseHands extends NemesisHands<MembersNode> {
  /** Its connection to `peer` breaks. */
  lose(node: MembersNode, peer: MembersNode): void
  transfer(leader: MembersNode): void
  /** It reads when it goes on. */
  pause(node: MembersNode, ms: number): void
}

type Dance = 'lost' | 'restart' | 'transfer' | 'pause'
type Phase = 'calm' | 'narrow' | 'apart'

const calmMs = 400
/** For campaigns of those that are cut off. */
const narrowMs = 350
/** For an election, and the end of any lease. */
const apartMs = 500

export class LeaseNemesis {
  readonly #hands: LeaseHands
  #dance: Dance = 'lost'
  #phase: Phase = 'calm'
  #since = 0
  #leader: MembersNode | null = null
  /** The lease rests on them and the leader. */
  #loyal: readonly MembersNode[] = []

  constructor(hands: LeaseHands) {
    this.#hands = hands
  }

  tick(): void {
    const lastedMs = this.#hands.now() - this.#since
    switch (this.#phase) {
      case 'calm':
        if (lastedMs > calmMs) this.#maybeBegin()
        break
      case 'narrow':
        if (lastedMs > narrowMs) this.#maybeDepose()
        break
      case 'apart':
        for (const node of this.#hands.nodes) {
          if (node !== this.#leader && node.leads !== null) this.#hands.propose(node)
        }
        if (lastedMs > apartMs) this.#calmDown()
        break
    }
  }

  /** Nothing but the word to a successor leaves the old leader, or reaches it. */
  loses({ from, kind, to }: { readonly from: string; readonly kind: string; readonly to: string }) {
    if (this.#phase !== 'apart' || this.#dance !== 'transfer' || kind === 'timeoutNow') return false
    return from === this.#leader?.id || to === this.#leader?.id
  }

  #maybeBegin(): void {
    const { nodes, random } = this.#hands
    const leader = nodes.find(({ raft }) => raft?.leaseRead())
    if (leader === undefined) return
    this.#leader = leader
    this.#dance = pick(random, ['lost', 'restart', 'transfer', 'pause'])
    const others = shuffle(random, [...nodes]).filter((node) => node !== leader)
    this.#loyal = others.slice(0, Math.floor(nodes.length / 2))
    if (this.#dance !== 'restart') {
      this.#maybeDepose()
      return
    }
    this.#enter('narrow')
    const apart = others.filter((node) => !this.#loyal.includes(node))
    this.#hands.connect([leader, ...this.#loyal], apart)
  }

  #maybeDepose(): void {
    const leader = this.#leader
    if (!leader?.raft?.leaseRead()) {
      this.#calmDown()
      return
    }
    const { nodes, random } = this.#hands
    const others = nodes.filter((node) => node !== leader)
    this.#enter('apart')
    this.#hands.count(`lease ${this.#dance}`)
    if (this.#dance === 'transfer') {
      this.#hands.transfer(leader)
      return
    }
    if (this.#dance === 'restart') for (const node of this.#loyal) this.#hands.crash(node)
    if (this.#dance === 'pause') this.#hands.pause(leader, 250 + random.nextInt(200))
    this.#hands.connect([leader], others)
    if (this.#dance === 'restart') return
    for (const node of others) this.#hands.lose(node, leader)
  }

  #calmDown(): void {
    this.#enter('calm')
    this.#hands.connect(this.#hands.nodes)
  }

  #enter(phase: Phase): void {
    this.#phase = phase
    this.#since = this.#hands.now()
  }
}
