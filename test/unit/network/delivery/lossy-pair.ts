import {
  type ErrorFacts,
  type MonotonicMs,
  SplittableRandom,
  UnknownMessageError
} from '../../../../src/core/index.js'
import { ReliableReceiver, type Reply } from '../../../../src/network/delivery/reliable-receiver.js'
import {
  type Delivery,
  deliveryWindowLengthMax,
  ReliableSender,
  type SenderSend,
  type Settled
} from '../../../../src/network/delivery/reliable-sender.js'
import { type DeliveryLane, DeliveryLanes, type DeliveryTag } from '../../../../src/wire/index.js'

export const limits = {
  retriesMax: 3,
  retryBackoffMs: 100,
  deliveriesMax: 64,
  deliveriesBytesMax: 4_000
}
const heldBytesMax = 600
const deadlineMsMax = 5_000
const handlerFailure: ErrorFacts = new UnknownMessageError('the handler threw').toFacts()

/** What is known of one message by looking at both ends at once. */
interface Story {
  readonly lane: DeliveryLane
  readonly isUnknownType: boolean
  delivery: Delivery<Story> | null
  readonly epochs: Set<number>
  sends: number
  handouts: number
  ending: 'handled' | 'failed' | null
  outcome: string | null
}

type Packet =
  | {
      readonly kind: 'message'
      readonly sender: SenderLife
      readonly tag: DeliveryTag
      readonly story: Story
    }
  | {
      readonly kind: 'floor'
      readonly sender: SenderLife
      readonly receiver: number
      readonly lane: DeliveryLane
      readonly floor: number
    }
  | {
      readonly kind: 'reply'
      readonly sender: SenderLife
      readonly receiver: number
      readonly reply: Reply
    }

interface SenderLife {
  readonly core: ReliableSender<Story>
  readonly stories: Story[]
}

/** What one life of the receiver heard of one life of the sender. */
interface Session {
  readonly core: ReliableReceiver<Story>
  readonly receiver: number
  readonly running: { readonly lane: DeliveryLane; readonly sequence: number; story: Story }[]
  /** By this process of the receiver. */
  readonly refused: Set<Story>
  /** Ordered: the number after the last one that was handed out, counted by hand. */
  expected: number | null
  /** The highest that was told, by lane. */
  readonly floors: Map<DeliveryLane, number>
}

/**
 * Both cores of delivery with a network between them that loses, doubles and reorders at will.
 * What they say is held against what happened, which is simply written down for each message.
 */
export class LossyPair {
  readonly faults: string[] = []
  readonly seen = { handled: 0, skipped: 0, unknown: 0, undelivered: 0, failed: 0, restarts: 0 }
  isFull = false
  readonly #random: SplittableRandom
  readonly #sessions = new Map<SenderLife, Session>()
  #packets: Packet[] = []
  #now = 0 as MonotonicMs
  #receiver = 1
  #isConnected = false
  #sender: SenderLife

  constructor(seed: number) {
    this.#random = SplittableRandom.fromSeed(seed)
    this.#sender = this.#newSender()
  }

  send(isOrdered: boolean, size: number): void {
    const story: Story = {
      lane: isOrdered ? DeliveryLanes.Ordered : DeliveryLanes.Acked,
      isUnknownType: size % 16 === 0,
      delivery: null,
      epochs: new Set(),
      sends: 0,
      handouts: 0,
      ending: null,
      outcome: null
    }
    const { core, stories } = this.#sender
    const deadline = (this.#now + 1 + ((size * 37) % deadlineMsMax)) as MonotonicMs
    const init = { ticket: story, lane: story.lane, sizeBytes: size, deadline }
    const bytes = stories.reduce((sum, { delivery, outcome }) => {
      return outcome === null ? sum + (delivery?.sizeBytes ?? 0) : sum
    }, 0)
    const waiting = stories.filter(({ outcome }) => outcome === null).length
    const fits = waiting < limits.deliveriesMax && bytes + size <= limits.deliveriesBytesMax
    story.delivery = core.offer(init, this.#now)
    this.#check((story.delivery !== null) === fits, 'the bounds are not what they say')
    if (story.delivery !== null) stories.push(story)
    this.#carryOut()
  }

  cancel(which: number): void {
    const { core, stories } = this.#sender
    const story = stories[which % Math.max(1, stories.length)]
    if (story === undefined || story.delivery === null) return
    const said = core.cancel(story.delivery, this.#now)
    this.#check((said === null) === (story.outcome !== null), 'cancelled twice')
    if (said !== null) {
      this.#check(said === story.sends > 0, `cancelled: ${said}, sent ${story.sends} times`)
      story.outcome = 'cancelled'
    }
    this.#carryOut()
  }

  open(): void {
    this.#isConnected = true
    for (const [sender, { core }] of this.#sessions) if (sender !== this.#sender) core.dropHeld()
    this.#sender.core.handleOpened(this.#receiver, this.#now)
    this.#carryOut()
  }

  lose(): void {
    if (!this.#isConnected) return
    this.#isConnected = false
    this.#sender.core.handleLost(false, this.#now)
    this.#carryOut()
  }

  /** Another connection is still there. */
  loseOne(): void {
    if (!this.#isConnected) return
    this.#sender.core.handleLost(true, this.#now)
    this.#carryOut()
  }

  restartReceiver(isNoticed: boolean): void {
    this.seen.restarts++
    if (isNoticed) this.lose()
    this.#receiver++
    this.#sessions.clear()
  }

  restartSender(): void {
    this.seen.restarts++
    this.#isConnected = false
    this.#sender = this.#newSender()
  }

  /** One packet of those on the way, any. */
  deliver(which: number, isRepeated = false): void {
    const at = which % Math.max(1, this.#packets.length)
    const packet = this.#packets[at]
    if (packet === undefined) return
    if (!isRepeated) this.#packets.splice(at, 1)
    if (packet.kind === 'reply') this.#hear(packet)
    else this.#receive(packet)
  }

  drop(which: number): void {
    this.#packets.splice(which % Math.max(1, this.#packets.length), 1)
  }

  /** A handler comes to its end. */
  finish(which: number, hasFailed: boolean): void {
    const all = [...this.#sessions].flatMap(([sender, session]) =>
      session.running.map((run) => ({ sender, session, run }))
    )
    const one = all[which % Math.max(1, all.length)]
    if (one === undefined) return
    const { sender, session, run } = one
    session.running.splice(session.running.indexOf(run), 1)
    run.story.ending = hasFailed ? 'failed' : 'handled'
    session.core.handleDone(run.lane, run.sequence, hasFailed ? handlerFailure : null)
    this.#settle(sender, session)
  }

  pass(ms: number): void {
    const end = (this.#now + ms) as MonotonicMs
    const { core } = this.#sender
    for (let turns = 0; core.nextDeadline() <= end; turns++) {
      this.#check(turns < 10_000, 'a deadline that does not pass')
      if (turns >= 10_000) return
      this.#now = Math.max(this.#now, core.nextDeadline()) as MonotonicMs
      core.handleTimeout(this.#now)
      this.#carryOut()
    }
    this.#now = end
  }

  /** Nothing is lost any more: everything comes to its end, and the lanes work. */
  heal(): void {
    this.isFull = false
    this.#calm(deadlineMsMax)
    this.#check(this.#sender.core.length === 0, 'some have no outcome')
    this.#check(
      this.#sender.stories.every(({ outcome }) => outcome !== null),
      'some were told of no outcome'
    )
    const before = this.seen.handled
    this.send(false, 7)
    this.send(true, 9)
    this.#calm(50)
    this.#check(this.seen.handled === before + 2, 'the lanes do not work after all')
    const session = this.#sessions.get(this.#sender)
    this.#check(session?.core.running === 0 && session.core.heldBytes === 0, 'something is kept')
  }

  #calm(ms: number): void {
    this.open()
    for (let i = 0; i < 40; i++) {
      this.#comeToRest()
      this.pass(ms / 40 + 1)
    }
    this.#comeToRest()
  }

  #comeToRest(): void {
    for (;;) {
      const running = [...this.#sessions.values()].some((session) => session.running.length > 0)
      if (this.#packets.length > 0) this.deliver(0)
      else if (running) this.finish(0, false)
      else return
    }
  }

  #newSender(): SenderLife {
    return { core: new ReliableSender(limits, this.#random, 1), stories: [] }
  }

  #carryOut(): void {
    const { core } = this.#sender
    for (;;) {
      const { sendNow, emit } = core.drain()
      if (sendNow.length === 0 && emit.length === 0) return
      for (const send of sendNow) this.#transmit(send)
      for (const settled of emit) this.#judge(settled)
      for (const send of sendNow) this.#checkFloor(send.kind === 'floor' ? send : send.tag)
    }
  }

  #transmit(send: SenderSend<Story>): void {
    const sender = this.#sender
    this.#check(this.#isConnected, 'sent without a connection')
    if (send.kind === 'floor') {
      const { lane, floor, receiver } = send
      if (this.isFull) sender.core.handleFloorRefused(lane, this.#now)
      else this.#packets.push({ kind: 'floor', sender, receiver, lane, floor })
      return
    }
    const { delivery, tag } = send
    const story = delivery.ticket
    this.#check(tag.sequence < tag.floor + deliveryWindowLengthMax, 'beyond the window')
    if (this.isFull) {
      sender.core.handleRefused(delivery, this.#now)
      return
    }
    story.sends++
    story.epochs.add(tag.receiver)
    this.#check(story.sends <= 1 + limits.retriesMax, `sent ${story.sends} times`)
    this.#check(story.epochs.size === 1, 'sent to two lives of the receiver')
    this.#packets.push({ kind: 'message', sender, tag, story })
  }

  /** Whoever has no outcome is not below. */
  #checkFloor({ lane, floor }: { readonly lane: DeliveryLane; readonly floor: number }): void {
    const isBelow = (story: Story) =>
      story.outcome === null && story.lane === lane && (story.delivery?.sequence ?? 0) < floor
    this.#check(!this.#sender.stories.some(isBelow), 'a floor above what has no outcome')
  }

  #judge({ ticket: story, outcome }: Settled<Story>): void {
    this.#check(story.outcome === null, `two outcomes: ${story.outcome}, ${outcome.kind}`)
    story.outcome = outcome.kind
    this.seen[outcome.kind]++
    switch (outcome.kind) {
      case 'handled':
      case 'failed':
        this.#check(story.ending === outcome.kind, `${outcome.kind}, was ${story.ending}`)
        break
      case 'undelivered':
        this.#check(story.sends === 0, `undelivered, sent ${story.sends} times`)
        break
      case 'unknown':
        this.#check(outcome.attempts === story.sends && story.sends > 0, 'attempts')
    }
  }

  #hear({ sender, receiver, reply }: Packet & { kind: 'reply' }): void {
    if (sender !== this.#sender) return
    const { core } = sender
    if (reply.kind === 'failed') core.handleFailed(receiver, reply, this.#now)
    else core.handleAcknowledgement(receiver, reply, this.#now)
    this.#carryOut()
  }

  #receive(packet: Exclude<Packet, { kind: 'reply' }>): void {
    const { sender } = packet
    const at = packet.kind === 'floor' ? packet : packet.tag
    if (at.receiver !== this.#receiver) return
    let session = this.#sessions.get(sender)
    if (session === undefined) {
      if (packet.kind === 'floor') return
      const core = new ReliableReceiver<Story>()
      session = {
        core,
        receiver: this.#receiver,
        running: [],
        refused: new Set(),
        expected: null,
        floors: new Map()
      }
      this.#sessions.set(sender, session)
    }
    const { core } = session
    if (at.lane === DeliveryLanes.Ordered) session.expected ??= at.floor
    const floor = Math.max(at.floor, session.floors.get(at.lane) ?? 1)
    session.floors.set(at.lane, floor)
    if (packet.kind === 'floor') core.handleFloor(at.lane, at.floor)
    else if (packet.story.isUnknownType) this.#refuse(session, packet, floor)
    else this.#take(core, packet)
    this.#settle(sender, session)
  }

  #refuse(
    { core, refused }: Session,
    { tag, story }: Packet & { kind: 'message' },
    floor: number
  ): void {
    if (tag.sequence >= floor) {
      story.ending = 'failed'
      refused.add(story)
    }
    core.refuse(tag, handlerFailure)
  }

  #take(core: ReliableReceiver<Story>, { tag, story }: Packet & { kind: 'message' }): void {
    const mayHold = (bytes: number) => core.heldBytes + bytes <= heldBytesMax
    const sizeBytes = story.delivery?.sizeBytes ?? 0
    core.receive({ ...tag, message: story, sizeBytes }, mayHold)
    this.#check(core.heldBytes <= heldBytesMax, `${core.heldBytes} bytes held`)
  }

  #settle(sender: SenderLife, session: Session): void {
    for (const { lane, sequence, message: story, skipped } of session.core.drain()) {
      story.handouts++
      this.#check(story.handouts === 1, `handed out ${story.handouts} times`)
      if (lane === DeliveryLanes.Ordered) this.#checkOrder(sender, session, { sequence, skipped })
      else this.#check(skipped === 0, 'a gap where there is no order')
      session.running.push({ lane, sequence, story })
    }
    this.#check(session.core.running === session.running.length, 'running')
    for (const reply of session.core.takeReplies()) {
      if (this.isFull) session.core.owe(reply)
      else this.#packets.push({ kind: 'reply', sender, receiver: session.receiver, reply })
    }
  }

  #checkOrder(
    sender: SenderLife,
    session: Session,
    { sequence, skipped }: { readonly sequence: number; readonly skipped: number }
  ): void {
    const expected = session.expected ?? sequence
    const isOrdered = ({ lane }: Story) => lane === DeliveryLanes.Ordered
    this.#check(!session.running.some(({ lane }) => lane === DeliveryLanes.Ordered), 'two at once')
    this.#check(sequence >= expected, `${sequence} after ${expected - 1}`)
    const between = sender.stories.filter(isOrdered).filter(({ delivery }) => {
      const number = delivery?.sequence ?? 0
      return number >= expected && number < sequence
    })
    for (const { outcome, ending } of between) {
      this.#check(outcome !== null || ending === 'failed', 'passed over, not given up')
    }
    // What a former process refused is as unknown here as anything else that it had.
    const gap = between.filter((story) => !session.refused.has(story)).length
    this.#check(skipped === gap, `skipped ${skipped}, ${gap} are missing`)
    this.seen.skipped += skipped
    session.expected = sequence + 1
  }

  #check(holds: boolean, fault: string): void {
    if (!holds) this.faults.push(fault)
  }
}
