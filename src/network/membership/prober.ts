/**
 * When to probe, and what an unanswered probe means; whom, `probe-order.ts` says. One probe is
 * begun per probe interval, and lasts two probe timeouts:
 *
 *   ping, after probeTimeout ping requests to helpers and a ping over the stream, then suspicion
 *
 * With `mutualProbes` a ping proves the one who sent it as an ack proves the one who answers, so
 * every exchange checks both ends, and this node asks whom it has not heard that way for longest.
 */

import type { ProbeRecord } from '../../core/cluster-membership.js'
import { after, NEVER } from '../../core/deadlines.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import { keptProbesMax } from './death-records.js'
import { probeMs } from './formulas.js'
import type { Gossip } from './gossip.js'
import { isLive, type MemberRecord } from './member-table.js'
import type { DatagramMessage } from './messages.js'
import type { Cohesion } from './partition/cohesion.js'
import { ProbeOrder } from './probe-order.js'
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
  readonly #order: ProbeOrder
  #probe: Probe | null = null
  /** To be probed before the others. */
  #doubted: NodeId | null = null
  #helpersAt: MonotonicMs = NEVER
  #verdictAt: MonotonicMs = NEVER
  /** The next probe. */
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
    this.#order = new ProbeOrder(state.random, { inRounds: !state.config.mutualProbes })
  }

  start(now: MonotonicMs): void {
    const { random, config } = this.#state
    this.#tickAt = after(now, random.nextFloat() * config.probeIntervalMs)
  }

  stop(): void {
    this.#end()
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
    if (this.#tickAt !== NEVER) this.#tickAt = after(this.#tickAt, lateMs)
    if (this.#helpersAt !== NEVER) this.#helpersAt = after(this.#helpersAt, lateMs)
    if (this.#verdictAt === NEVER) return
    this.#verdictAt = after(this.#verdictAt, lateMs)
    if (this.#probe === null || this.#probe.hadGrace) return
    this.#probe.hadGrace = true
    const leastAt = after(now, this.#state.config.probeTimeoutMs)
    if (this.#verdictAt < leastAt) this.#verdictAt = leastAt
    if (this.#tickAt < this.#verdictAt) this.#tickAt = this.#verdictAt
  }

  /** Tells a suspect straight what it is accused of; it will contradict when it lives. */
  ask(suspect: NodeId): void {
    const record = this.#state.table.get(suspect)
    const accusation = record === undefined ? null : this.#gossip.accusationOf(record)
    if (record === undefined || accusation === null) return
    this.#gossip.send(record.statement.address, [accusation])
  }

  add(nodeId: NodeId): void {
    this.#order.add(nodeId)
  }

  remove(nodeId: NodeId): void {
    this.#order.remove(nodeId)
    if (this.#probe?.target === nodeId) this.#end()
  }

  /** A ping of it came straight: it lives, and it may say that this node is not heard there. */
  onPing(nodeId: NodeId, isUnheardThere: boolean, now: MonotonicMs): void {
    if (!this.#isMutual) return
    if (isUnheardThere) this.#doubted ??= nodeId
    else this.#order.onChecked(nodeId, now, this.#roundMs())
  }

  next(): MonotonicMs {
    return Math.min(this.#helpersAt, this.#verdictAt, this.#tickAt) as MonotonicMs
  }

  handleTimeout(now: MonotonicMs): void {
    if (this.#helpersAt <= now && this.#verdictAt > now) this.#askHelpers()
    if (this.#verdictAt <= now && this.#probe !== null) this.#fail(this.#probe, now)
    if (this.#tickAt <= now) this.#begin(now)
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
    const { config, localHealth, counters, links } = this.#state
    const { multiplier } = localHealth
    this.#tickAt = after(now, config.probeIntervalMs * multiplier)
    const record = this.#nextTarget(now)
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
    this.#verdictAt = after(now, probeMs(config) * multiplier)
    counters.add('ping_count')
    // The suspect hears of its suspicion from whoever probes it, and may refute at once.
    const accusation = this.#gossip.accusationOf(record)
    const ping: DatagramMessage = links.isUnheard(target)
      ? { kind: 'ping', sequence, target, isUnheard: true }
      : { kind: 'ping', sequence, target }
    this.#gossip.send(record.statement.address, accusation ? [ping, accusation] : [ping])
  }

  #nextTarget(now: MonotonicMs): MemberRecord | null {
    const { table } = this.#state
    const doubted = this.#doubted === null ? undefined : table.get(this.#doubted)
    this.#doubted = null
    if (doubted !== undefined && isLive(doubted)) return doubted
    const next = this.#order.next(now, this.#roundMs())
    return next === null ? null : (table.get(next) ?? null)
  }

  get #isMutual(): boolean {
    return this.#state.config.mutualProbes
  }

  /** In which every other member is checked once; half of them ask first, where that counts. */
  #roundMs(): number {
    const turns = Math.max(1, this.#order.size) * (this.#isMutual ? 0.5 : 1)
    return turns * this.#state.config.probeIntervalMs
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
    const deadline = this.#verdictAt
    effects.send({ kind: 'streamPing', nodeId: target, address, sequence, deadline })
  }

  #onStraightAnswer({ target, sentAt }: Probe, now: MonotonicMs): void {
    const { effects, table } = this.#state
    const record = table.get(target)
    effects.send({ kind: 'roundTrip', nodeId: target, ms: now - sentAt })
    if (record !== undefined) {
      keep(record, { sentAt, roundTripMs: now - sentAt, outcome: 'straight' })
    }
    const whole = this.#state.links.onStraightAnswer(target)
    if (whole !== null) this.#cohesion().onLinkWhole(whole, now)
  }

  #onDetour({ target, sentAt }: Probe): void {
    const { links, table } = this.#state
    const record = table.get(target)
    if (record === undefined) return
    keep(record, { sentAt, roundTripMs: null, outcome: 'detour' })
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
    keep(record, { sentAt, roundTripMs: null, outcome: 'unanswered' })
    const { incarnation } = record
    const suspicion = { nodeId: probe.target, incarnation, accuser: nodeId }
    this.#rumours().handleAccusation({ kind: 'suspect', ...suspicion }, now)
  }

  #end(): void {
    this.#probe = null
    this.#helpersAt = NEVER
    this.#verdictAt = NEVER
  }
}

function keep({ probes }: MemberRecord, probe: ProbeRecord): void {
  probes.push(probe)
  if (probes.length > keptProbesMax) probes.shift()
}
