/**
 * Whom to probe, and what an unanswered probe means. One member per probe interval, in a shuffled
 * round: each is probed once before any is probed twice, so a death is noticed within 2n − 1
 * intervals (Das et al. 2002, section 4.3). A probe has until the next one begins:
 *
 *   ping, after probeTimeout ping requests to helpers and a ping over the stream, then suspicion
 */

import { after, NEVER } from '../../core/deadlines.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import { shuffle } from '../../core/splittable-random.js'
import type { Gossip } from './gossip.js'
import { isLive, type MemberRecord } from './member-table.js'
import type { DatagramMessage } from './messages.js'
import type { Cohesion } from './partition/cohesion.js'
import type { Rumours } from './rumours.js'
import type { SwimState } from './swim-state.js'

interface Probe {
  readonly target: NodeId
  readonly sequence: number
  readonly sentAt: MonotonicMs
  readonly localHealthMultiplier: number
  readonly helpers: NodeId[]
  readonly nackedBy: NodeId[]
  streamTried: boolean
  hadGrace: boolean
}

export class Prober {
  readonly #state: SwimState
  readonly #gossip: Gossip
  readonly #rumours: () => Rumours
  readonly #cohesion: () => Cohesion
  readonly #nextSequence: () => number
  /** The round; a member that joins gets a random place in what is left of it or after. */
  #round: NodeId[] = []
  #position = 0
  #probe: Probe | null = null
  /** To be probed before the round goes on. */
  #doubted: NodeId | null = null
  #helpersAt: MonotonicMs = NEVER
  #tickAt: MonotonicMs = NEVER

  constructor(
    state: SwimState,
    gossip: Gossip,
    rumours: () => Rumours,
    cohesion: () => Cohesion,
    nextSequence: () => number
  ) {
    this.#state = state
    this.#gossip = gossip
    this.#rumours = rumours
    this.#cohesion = cohesion
    this.#nextSequence = nextSequence
  }

  start(now: MonotonicMs): void {
    const { random, config } = this.#state
    this.#tickAt = after(now, random.nextFloat() * config.probeIntervalMs)
  }

  stop(): void {
    this.#probe = null
    this.#helpersAt = NEVER
    this.#tickAt = NEVER
  }

  /** Forgets the probe under way and begins afresh: its answer may have been slept through. */
  restart(now: MonotonicMs): void {
    this.stop()
    this.#tickAt = after(now, this.#state.config.probeIntervalMs)
  }

  /**
   * The time that the node stood still does not count; and once in a probe there is time left to
   * read the answer that may have come meanwhile.
   */
  postpone(lateMs: number, now: MonotonicMs): void {
    if (this.#helpersAt !== NEVER) this.#helpersAt = after(this.#helpersAt, lateMs)
    if (this.#tickAt === NEVER) return
    this.#tickAt = after(this.#tickAt, lateMs)
    if (this.#probe === null || this.#probe.hadGrace) return
    this.#probe.hadGrace = true
    const leastAt = after(now, this.#state.config.probeTimeoutMs)
    if (this.#tickAt < leastAt) this.#tickAt = leastAt
  }

  /** Tells a suspect straight what it is accused of; it will contradict when it lives. */
  ask(suspect: NodeId): void {
    const record = this.#state.table.get(suspect)
    const accusation = record === undefined ? null : this.#gossip.accusationOf(record)
    if (record === undefined || accusation === null) return
    this.#gossip.send(record.statement.address, [accusation])
  }

  add(nodeId: NodeId): void {
    const at = this.#position + this.#state.random.nextInt(this.#round.length - this.#position + 1)
    this.#round.splice(at, 0, nodeId)
  }

  remove(nodeId: NodeId): void {
    const at = this.#round.indexOf(nodeId)
    if (at < 0) return
    this.#round.splice(at, 1)
    if (at < this.#position) this.#position--
    if (this.#probe?.target === nodeId) this.#end()
  }

  next(): MonotonicMs {
    return Math.min(this.#helpersAt, this.#tickAt) as MonotonicMs
  }

  handleTimeout(now: MonotonicMs): void {
    if (this.#helpersAt <= now && this.#tickAt > now) this.#askHelpers()
    if (this.#tickAt > now) return
    if (this.#probe !== null) this.#fail(this.#probe, now)
    this.#begin(now)
  }

  /** False: not the answer to the probe under way, or not from one who was asked. */
  handleAck(sequence: number, from: NodeId, now: MonotonicMs): boolean {
    const probe = this.#probe
    if (probe === null || probe.sequence !== sequence) return false
    if (from !== probe.target && !probe.helpers.includes(from)) return false
    if (from === probe.target) this.#onStraightAnswer(probe, now)
    else this.#onDetour(probe)
    this.#succeed()
    return true
  }

  handleNack(sequence: number, from: NodeId): void {
    const probe = this.#probe
    if (probe === null || probe.sequence !== sequence) return
    if (!probe.helpers.includes(from) || probe.nackedBy.includes(from)) return
    probe.nackedBy.push(from)
    this.#state.counters.add('nack_count')
  }

  handleStreamAck(sequence: number, from: NodeId): boolean {
    const probe = this.#probe
    if (probe === null || probe.sequence !== sequence || probe.target !== from) return false
    this.#state.counters.add('stream_only_ack_count')
    this.#onDetour(probe)
    this.#succeed()
    return true
  }

  #begin(now: MonotonicMs): void {
    const { config, localHealth, counters } = this.#state
    const multiplier = localHealth.multiplier
    this.#tickAt = after(now, config.probeIntervalMs * multiplier)
    const record = this.#nextInRound()
    if (record === null) return
    const target = record.statement.nodeId
    const sequence = this.#nextSequence()
    this.#probe = {
      target,
      sequence,
      sentAt: now,
      localHealthMultiplier: multiplier,
      helpers: [],
      nackedBy: [],
      streamTried: false,
      hadGrace: false
    }
    this.#helpersAt = after(now, config.probeTimeoutMs * multiplier)
    counters.add('ping_count')
    // The suspect hears of its suspicion from whoever probes it, and may refute at once.
    const accusation = this.#gossip.accusationOf(record)
    const ping: DatagramMessage = { kind: 'ping', sequence, target }
    this.#gossip.send(record.statement.address, accusation ? [ping, accusation] : [ping])
  }

  #nextInRound(): MemberRecord | null {
    const { table, random } = this.#state
    const doubted = this.#doubted === null ? undefined : table.get(this.#doubted)
    this.#doubted = null
    if (doubted !== undefined && isLive(doubted)) return doubted
    for (let tries = this.#round.length; tries > 0; tries--) {
      if (this.#position >= this.#round.length) {
        shuffle(random, this.#round)
        this.#position = 0
      }
      const record = table.get(this.#round[this.#position++] as NodeId)
      if (record !== undefined && isLive(record)) return record
    }
    return null
  }

  #askHelpers(): void {
    this.#helpersAt = NEVER
    const probe = this.#probe
    const record = probe && this.#state.table.get(probe.target)
    if (probe === null || !record) return
    const { table, random, config, counters, effects } = this.#state
    const { target, sequence } = probe
    const helpers = table.pickOthers(
      random,
      config.indirectProbes,
      (other) => other !== record && isLive(other)
    )
    for (const { statement } of helpers) {
      probe.helpers.push(statement.nodeId)
      counters.add('indirect_ping_count')
      this.#gossip.send(statement.address, [{ kind: 'pingRequest', sequence, target }])
    }
    probe.streamTried = true
    counters.add('stream_ping_count')
    const { address } = record.statement
    effects.send({ kind: 'streamPing', nodeId: target, address, sequence, deadline: this.#tickAt })
  }

  #onStraightAnswer({ target }: Probe, now: MonotonicMs): void {
    const whole = this.#state.links.onStraightAnswer(target)
    if (whole !== null) this.#cohesion().onLinkWhole(whole, now)
  }

  #onDetour({ target, sentAt }: Probe): void {
    const { links, table } = this.#state
    const record = table.get(target)
    if (record === undefined) return
    const broken = links.onDetour(target, sentAt, record.lastHeardAt)
    if (broken !== null) this.#cohesion().onLinkBroken(broken)
    else if (links.isInDoubt(target)) this.#doubted = target
  }

  #succeed(): void {
    this.#state.counters.add('ack_count')
    this.#state.judgeSelf((localHealth) => localHealth.onProbeAnswered())
    this.#end()
  }

  #fail(probe: Probe, now: MonotonicMs): void {
    const { table, counters, nodeId } = this.#state
    this.#end()
    const record = table.get(probe.target)
    if (record === undefined || !isLive(record)) return
    counters.add('failed_ping_count')
    this.#state.judgeSelf((localHealth) =>
      localHealth.onProbeFailed({
        asked: probe.helpers.length,
        nacksMissing: probe.helpers.length - probe.nackedBy.length
      })
    )
    const { sentAt, helpers, nackedBy, streamTried, localHealthMultiplier } = probe
    record.lastFailedProbe = {
      sentAt,
      endedAt: now,
      helpers,
      nackedBy,
      streamTried,
      localHealthMultiplier
    }
    const { incarnation } = record
    const suspicion = { nodeId: probe.target, incarnation, accuser: nodeId }
    this.#rumours().handleAccusation({ kind: 'suspect', ...suspicion }, now)
  }

  #end(): void {
    this.#probe = null
    this.#helpersAt = NEVER
  }
}
