/**
 * Nodes that write to one another during all faults: messages to be acknowledged, some of them in
 * order, with handlers that take a moment or throw. What the sender was told is held against what
 * the receivers did.
 */
import { Buffer } from 'node:buffer'
import {
  CancelledError,
  hasCode,
  type NodeId,
  NotLeaderError,
  pick,
  type Random,
  SkeinError
} from '../core/index.js'
import { letter } from './mail-letter.js'
import type { SimulatedManager } from './manager.js'
import type { RunningNode, SimulatedCluster } from './simulated-cluster.js'
import type { SwarmOptions } from './swarm-options.js'
import { Invariants, type Violations } from './violations.js'
import type { SimulatedProcess, VirtualTime } from './virtual-clock.js'

/**
 * How long a sender waits for word, at most; some wait less. Less than what the repair allows: who
 * has used up its retries waits until its deadline.
 */
const patienceMs = 5_000
/** Letters between two changes of metadata, on average. */
const metadataEvery = 10
const fillersBytes = [0, 0, 0, 40, 3_000, 80_000] as const

export interface MailComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly cluster: () => SimulatedCluster
  readonly violations: Violations
}

export interface MailCounts {
  sent: number
  handled: number
  acknowledged: number
  thrown: number
  undelivered: number
  unknown: number
}

interface Letter {
  readonly number: number
  readonly from: SimulatedProcess
  readonly to: NodeId
  readonly isOrdered: boolean
  readonly fillerBytes: number
  readonly isCompressible: boolean
  /** The handler throws. */
  readonly throws: boolean
  /** The handler takes so long; zero: it answers at once. */
  readonly takesMs: number
  /** Virtual time. */
  readonly sentAt: number
  readonly timeoutMs: number
  began: number
  ended: number
  outcome: 'open' | 'acknowledged' | 'thrown' | 'undelivered' | 'unknown' | 'refused'
}

export class MailWorkload {
  /** Pairs of metadata that nodes set or deleted. */
  metadataChanges = 0
  readonly counts: MailCounts = {
    sent: 0,
    handled: 0,
    acknowledged: 0,
    thrown: 0,
    undelivered: 0,
    unknown: 0
  }
  readonly #components: MailComponents
  readonly #options: SwarmOptions['mail']
  readonly #letters: Letter[] = []
  /** Receiving process → sending process → the last ordered number whose handler began. */
  readonly #order = new Map<SimulatedProcess, Map<SimulatedProcess, number>>()
  /** Ordered: sending processes whose letter a process is busy with. */
  readonly #busy = new Map<SimulatedProcess, Set<SimulatedProcess>>()
  #isStopped = false

  constructor(components: MailComponents, options: SwarmOptions['mail']) {
    this.#components = components
    this.#options = options
  }

  /** Letters whose sender is alive and waits for word. */
  get open(): number {
    return this.#waiting().length
  }

  /** Those letters, for a report. */
  describeOpen(): string {
    return this.#waiting()
      .map((sent) => `${describe(sent)} at ${Math.round(sent.sentAt)} for ${sent.timeoutMs} ms`)
      .join(', ')
  }

  start(): void {
    if (this.#options.meanIntervalMs !== null) this.#think(this.#options.meanIntervalMs)
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Before the node starts. */
  attach(process: SimulatedProcess, manager: SimulatedManager): void {
    manager.messages.onMessage(letter, ({ body }) =>
      this.#handle(process, body.number, body.filler)
    )
  }

  #waiting(): Letter[] {
    return this.#letters.filter(({ from, outcome }) => outcome === 'open' && from.alive)
  }

  #think(meanMs: number): void {
    const { time, random } = this.#components
    const wait = -meanMs * Math.log(1 - random.nextFloat())
    time.post(time.now + wait, 'mail', null, () => {
      if (this.#isStopped) return
      this.#write()
      this.#think(meanMs)
    })
  }

  #write(): void {
    const { random, cluster } = this.#components
    const nodes = cluster().startedNodes()
    if (nodes.length === 0) return
    const node = pick(random, nodes)
    if (random.nextInt(metadataEvery) === 0) this.#describe(node)
    const to = pick(random, cluster().nodeIds())
    const burst = random.nextInt(5) === 0 ? 1 + random.nextInt(20) : 1
    const isOrdered = random.nextFloat() < this.#options.orderedShare
    for (let i = 0; i < burst; i++) this.#send(node, to, isOrdered)
  }

  /** A node says something else of itself. */
  #describe({ process, manager }: RunningNode): void {
    const { time, random } = this.#components
    const key = `k${random.nextInt(4)}`
    const value = random.nextInt(4) === 0 ? null : String(this.#letters.length)
    this.metadataChanges++
    time.post(time.now, 'metadata', process, () => {
      if (value === null) manager.metadata.delete(key)
      else manager.metadata.set(key, value)
    })
  }

  #send({ process, manager }: RunningNode, to: NodeId, isOrdered: boolean): void {
    const { time, random } = this.#components
    const number = this.#letters.length
    const throws = random.nextInt(20) === 0
    const takesMs = random.nextInt(3) === 0 ? random.nextFloat() * 20 : 0
    const timeoutMs = random.nextInt(4) === 0 ? 20 + random.nextInt(500) : patienceMs
    const sent: Letter = {
      number,
      from: process,
      to,
      isOrdered,
      fillerBytes: pick(random, fillersBytes),
      isCompressible: random.nextFloat() < this.#options.compressibleShare,
      throws,
      takesMs,
      sentAt: time.now,
      timeoutMs,
      began: 0,
      ended: 0,
      outcome: 'open'
    }
    this.#letters.push(sent)
    this.counts.sent++
    time.post(time.now, 'mail.send', process, () => {
      const reliability = isOrdered ? 'ordered' : 'acked'
      const message = { type: letter, body: { number, filler: fillerOf(sent) } }
      manager.sendMessage(to, message, { reliability, timeoutMs }).then(
        () => this.#tell(sent, null),
        (error: unknown) => this.#tell(sent, error)
      )
    })
  }

  #handle(process: SimulatedProcess, number: number, filler: Uint8Array): unknown {
    const sent = this.#letters[number]
    if (sent === undefined) {
      this.#report(`letter ${number}, which nobody wrote, is handled`)
      return
    }
    if (Buffer.compare(filler, fillerOf(sent)) !== 0)
      this.#report(`${describe(sent)} says something else`)
    sent.began++
    if (sent.began > 1) this.#report(`${describe(sent)} is handled twice`)
    if (sent.outcome === 'undelivered') this.#report(`${describe(sent)} was never sent, is handled`)
    if (sent.isOrdered) this.#expectOrder(process, sent)
    if (sent.takesMs === 0) return this.#end(process, sent)
    return new Promise<void>((resolve, reject) => {
      const { time } = this.#components
      time.post(time.now + sent.takesMs, 'mail.handled', process, () => {
        try {
          this.#end(process, sent)
          resolve()
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  #end(process: SimulatedProcess, sent: Letter): void {
    this.#busy.get(process)?.delete(sent.from)
    if (sent.throws) throw new NotLeaderError('as the letter wants it')
    sent.ended++
    this.counts.handled++
  }

  #expectOrder(process: SimulatedProcess, sent: Letter): void {
    const last = this.#order.get(process) ?? new Map<SimulatedProcess, number>()
    const busy = this.#busy.get(process) ?? new Set<SimulatedProcess>()
    this.#order.set(process, last)
    this.#busy.set(process, busy)
    const before = last.get(sent.from) ?? -1
    if (before > sent.number) {
      this.#report(`${describe(sent)} is handled behind letter ${before}`)
    }
    if (busy.has(sent.from)) this.#report(`${describe(sent)} is handled beside an earlier one`)
    last.set(sent.from, sent.number)
    busy.add(sent.from)
  }

  #tell(sent: Letter, error: unknown): void {
    const { counts } = this
    sent.outcome = outcomeOf(error)
    switch (sent.outcome) {
      case 'acknowledged':
        counts.acknowledged++
        if (sent.ended !== 1) this.#report(`${describe(sent)} is acknowledged, and not handled`)
        return
      case 'thrown':
        counts.thrown++
        if (!sent.throws || sent.began !== 1) this.#report(`${describe(sent)}: nobody threw`)
        return
      case 'undelivered':
      case 'refused':
        counts.undelivered++
        if (sent.began > 0) this.#report(`${describe(sent)} was never sent, and is handled`)
        if (hasCode(error, 'ERR_SKEIN_PROTOCOL')) this.#report(`${describe(sent)} is unreadable`)
        return
      default:
        counts.unknown++
    }
  }

  #report(detail: string): void {
    this.#components.violations.report(Invariants.Delivery, detail)
  }
}

function outcomeOf(error: unknown): Letter['outcome'] {
  if (error === null) return 'acknowledged'
  if (hasCode(error, 'ERR_SKEIN_NOT_LEADER')) return 'thrown'
  if (hasCode(error, 'ERR_SKEIN_INDETERMINATE')) return 'unknown'
  if (hasCode(error, 'ERR_SKEIN_UNDELIVERED')) return 'undelivered'
  if (error instanceof SkeinError && !(error instanceof CancelledError)) return 'refused'
  throw error
}

/** Of the letter's number alone, so that what arrives can be told from what was sent. */
function fillerOf({ number, fillerBytes, isCompressible }: Letter): Uint8Array {
  if (isCompressible) return new Uint8Array(fillerBytes).fill(number)
  const at = number % noiseOffsetMax
  return noise.subarray(at, at + fillerBytes)
}

const noiseOffsetMax = 4_096

/** What does not get smaller when it is compressed: xorshift. */
const noise = ((): Uint8Array => {
  const words = new Uint32Array((Math.max(...fillersBytes) + noiseOffsetMax) / 4)
  let word = 1
  for (let i = 0; i < words.length; i++) {
    word ^= word << 13
    word ^= word >>> 17
    word ^= word << 5
    words[i] = word
  }
  return new Uint8Array(words.buffer)
})()

const describe = ({ number, from, to, isOrdered }: Letter): string =>
  `${isOrdered ? 'ordered ' : ''}letter ${number} of ${from.name} life ${from.incarnation} to ${to}`
