/**
 * Three nodes with their tables, the home group between them, one program: moves, lost messages,
 * crashes at every step and tokens in any order. A request never runs but at the one home there is,
 * and always sees what was answered before.
 */
import fc from 'fast-check'
import t from 'tap'
import { assert } from '../../../../src/core/assert.js'
import type { LogIndex, MonotonicMs, NodeId } from '../../../../src/core/ids.js'
import {
  type AdoptedSession,
  SessionTable
} from '../../../../src/failover/session/session-table.js'
import { a, b, c, HomeGroup, id, seen } from './home-group.js'

const nodes = [a, b, c]
const session = id(1)
const group = seen(0).group
const now = 1 as MonotonicMs

interface Offer {
  readonly kind: 'offer'
  readonly from: NodeId
  readonly to: NodeId
  readonly captured: AdoptedSession
}
interface Ack {
  readonly kind: 'ack'
  readonly offer: Offer
  readonly epoch: number | null
}

/** Everything that may happen, by number. */
const kinds = ['request', 'move', 'deliver', 'lose', 'attach', 'attachUnheard', 'crash'] as const

const often = ['request', 'request', 'move', 'deliver', 'attach'] as const

class World {
  readonly home = new HomeGroup()
  readonly tables = new Map<NodeId, SessionTable>(nodes.map((node) => [node, new SessionTable()]))
  readonly mail: (Offer | Ack)[] = []
  /** What its program knows. */
  at: NodeId = a
  token = 1
  /** It asked to be taken over and does not know how that ended: it asks nothing else. */
  isSeeking = false
  answered = 0
  index = 0
  runs = 0

  constructor() {
    this.home.open(a)
    this.#table(a).adopt({ ...this.#record(), seen: [] }, now)
  }

  step(kind: (typeof kinds)[number], pick: number): void {
    const node = nodes[pick % nodes.length] as NodeId
    const epoch = this.#record().epoch
    switch (kind) {
      case 'request':
        this.request()
        break
      case 'move':
        this.#move(node)
        break
      case 'deliver':
        this.#deliver(pick)
        break
      case 'lose':
        this.#lose(pick)
        break
      case 'attach':
        this.attach(node)
        break
      case 'attachUnheard':
        this.isSeeking = true
        this.home.attach(node, this.token, this.token + 1, { seen: [seen(this.answered)] })
        break
      case 'crash':
        this.#crash(node)
        break
    }
    assert(this.#record().epoch >= epoch, 'an epoch went back')
    this.#check()
  }

  request(): void {
    if (this.isSeeking) return
    const table = this.#table(this.at)
    const entrance = table.enter(session, 'app', now)
    if (entrance.kind === 'held') table.release(session)
    if (entrance.kind === 'moved') this.at = entrance.to
    if (entrance.kind !== 'run') return
    const { home, epoch } = this.#record()
    assert(home === this.at && epoch === entrance.session.epoch, 'it ran where it is not at home')
    assert(entrance.session.seenIndexOf(group) >= this.answered, 'it does not see its own writes')
    this.answered = ++this.index
    this.runs++
    const seen = [{ group, index: this.index as LogIndex }]
    table.leave(session, { seen, lastInsertRowid: null })
  }

  /** With the token of now; a used one is nobody's any more. */
  attach(node: NodeId): void {
    const answer = this.home.attach(node, this.token, this.token + 1, {
      seen: [seen(this.answered)]
    })
    assert(answer.kind === 'accepted', `its own token is refused: ${JSON.stringify(answer)}`)
    const stolen = this.home.attach(node, this.token, this.token + 1_000)
    assert(stolen.kind === 'refused', 'a token was used twice')
    this.token++
    this.isSeeking = false
    this.at = node
    this.#table(node).adopt(this.#record(), now)
  }

  /** Until nothing is on its way. */
  settle(): void {
    while (this.mail.length > 0) this.#deliver(0)
  }

  #move(to: NodeId): void {
    const from = this.at
    const table = this.#table(from)
    if (to === from || table.of(session) === null || !table.beginMove(session)) return
    this.mail.push({ kind: 'offer', from, to, captured: table.capture(session) })
  }

  #deliver(pick: number): void {
    const [letter] = this.mail.splice(pick % Math.max(1, this.mail.length), 1)
    if (letter?.kind === 'ack') this.#handleAck(letter)
    if (letter?.kind !== 'offer') return
    const { from, to, captured } = letter
    const taken = this.home.apply({ kind: 'take', session, from, home: to, ...captured })
    const isTaken = taken.kind === 'accepted'
    if (isTaken) this.#table(to).adopt({ ...captured, epoch: taken.epoch }, now)
    this.mail.push({ kind: 'ack', offer: letter, epoch: isTaken ? taken.epoch : null })
  }

  #handleAck({ offer: { from, to, captured }, epoch }: Ack): void {
    if (epoch !== null) this.#table(from).depart(session, to, epoch)
    else this.#table(from).endMove(session, captured.epoch)
    if (epoch === null) this.#ask(from, captured.epoch)
  }

  /** Nobody heard; the origin has the group say whose it is. */
  #lose(pick: number): void {
    const [letter] = this.mail.splice(pick % Math.max(1, this.mail.length), 1)
    if (letter === undefined) return
    const { from, captured } = letter.kind === 'offer' ? letter : letter.offer
    // What was lost for the origin may still arrive.
    if (letter.kind === 'offer' && pick % 2 === 0) this.mail.push(letter)
    const before = this.#table(from).of(session)
    if (before?.isMoving !== true || before.epoch !== captured.epoch) return
    this.#ask(from, captured.epoch)
  }

  #ask(node: NodeId, epoch: number): void {
    const settled = this.home.apply({ kind: 'settle', session, home: node, epoch })
    const table = this.#table(node)
    const { home, epoch: present } = this.#record()
    if (settled.kind === 'accepted' || home === node) table.endMove(session, present)
    else table.depart(session, home, present)
  }

  #crash(node: NodeId): void {
    this.tables.set(node, new SessionTable())
    const left = this.mail.filter((letter) => letter.kind === 'offer' || letter.offer.from !== node)
    this.mail.splice(0, this.mail.length, ...left)
  }

  #check(): void {
    const record = this.#record()
    for (const [node, table] of this.tables) {
      const here = table.of(session)
      if (here === null) continue
      assert(here.epoch <= record.epoch, `${node} is ahead of the group`)
      assert(here.epoch < record.epoch || node === record.home, `${node} is a second home`)
    }
    assert((record.seen[0]?.index ?? 0) <= this.index, 'it has seen what is not there')
  }

  #table(node: NodeId): SessionTable {
    return this.tables.get(node) as SessionTable
  }

  #record() {
    const record = this.home.get(session)
    assert(record !== undefined, 'it is gone')
    return record
  }
}

t.test('M-05 M-06 M-07 one home at a time, whatever is lost at whichever step', async (t) => {
  let runs = 0
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...kinds, ...often), fc.nat(1_000)), { maxLength: 60 }),
      (steps) => {
        const world = new World()
        for (const [kind, pick] of steps) world.step(kind, pick)
        world.settle()
        world.attach(b)
        world.request()
        runs += world.runs
        assert(world.runs > 0, 'it cannot go on')
      }
    ),
    { numRuns: 3_000 }
  )
  t.ok(runs > 3_000, `${runs} requests ran`)
})
