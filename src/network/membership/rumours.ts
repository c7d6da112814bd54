/**
 * What a piece of news about a member changes: statements of owners, accusations by others,
 * verdicts of suspicions that ran out. `precedence.ts` says which news stands; beyond it:
 *
 * 1. An accusation adds nobody to the table and wakes nobody in it.
 * 2. About this node itself nothing is believed: it answers with a higher incarnation.
 * 3. Whoever was heard lately is not buried on another's word, and asked once more before a verdict
 *    of this node's own.
 * 4. A name that is alive keeps its address; another address that claims it is told to subscribers.
 * 5. Incarnations that jump beyond `incarnationJumpMax` are nobody's own, and ignored.
 */
import { unreachable } from '../../core/assert.js'
import { after } from '../../core/deadlines.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import { keptRefutationsMax } from './death-records.js'
import { expectedConfirmations, probeMs, suspicionMinMs } from './formulas.js'
import { isLive, type MemberRecord, toMember } from './member-table.js'
import { type Accusation, isStatementSmall, type Statement } from './messages.js'
import { compareStanding, type Rank, Ranks, rankOfStatement } from './precedence.js'
import type { SuspicionTerms } from './suspicion.js'
import { newRecord, type SwimState } from './swim-state.js'

/** An owner raises its incarnation by one for each refutation and each change of its own. */
export const incarnationJumpMax = 1_000_000

/** Told when a member begins or ceases to be worth probing. */
export interface LiveSet {
  add(nodeId: NodeId): void
  remove(nodeId: NodeId): void
}

export class Rumours {
  readonly #state: SwimState
  readonly #live: LiveSet
  readonly #ask: (suspect: NodeId) => void

  /** @param ask tells a suspect directly what it is accused of */
  constructor(state: SwimState, live: LiveSet, ask: (suspect: NodeId) => void) {
    this.#state = state
    this.#live = live
    this.#ask = ask
  }

  handleStatement(statement: Statement, now: MonotonicMs, passesOn = true): void {
    if (statement.nodeId === this.#state.nodeId) {
      this.#handleOwnStatement(statement, now)
      return
    }
    const record = this.#state.table.get(statement.nodeId)
    if (record === undefined) this.#admit(statement, now, passesOn)
    else this.#restateMember(record, statement, now)
  }

  handleAccusation(accusation: Accusation, now: MonotonicMs): void {
    if (accusation.nodeId === this.#state.nodeId) {
      this.#refute(accusation, now)
      return
    }
    const record = this.#state.table.get(accusation.nodeId)
    if (record === undefined || this.#isAbsurd(record, accusation.incarnation)) return
    switch (accusation.kind) {
      case 'suspect':
        this.#suspect(record, accusation, now)
        return
      case 'dead':
        if (this.#isHeardLately(record, now)) this.#suspect(record, accusation, now)
        else this.#bury(record, accusation, 'rumour', now)
        return
      default:
        unreachable(accusation)
    }
  }

  /** Suspicions that ran out become deaths. */
  handleTimeout(now: MonotonicMs): void {
    const { suspicions, table, nodeId } = this.#state
    for (const { nodeId: suspect } of suspicions.due(now)) {
      const record = table.get(suspect)
      if (record === undefined || record.rank !== Ranks.Suspect) {
        suspicions.stop(suspect)
        continue
      }
      if (this.#maybeAskAgain(record, now)) continue
      const { incarnation } = record
      const verdict = { kind: 'dead', nodeId: suspect, incarnation, accuser: nodeId } as const
      this.#bury(record, verdict, 'ownTimer', now)
    }
  }

  /** Whether a claim to a member's name from this address would be heard. */
  mayClaim(record: MemberRecord, statement: Statement, now: MonotonicMs): boolean {
    if (statement.address === record.statement.address || record.rank === Ranks.Left) return true
    if (record.rank !== Ranks.Dead) return false
    return now >= after(record.changedAt, this.#state.config.deadReclaimMs)
  }

  /** Once per address, until the name is settled. */
  tellConflict(record: MemberRecord, { nodeId, address }: Statement): void {
    if (record.conflictAddress === address) return
    record.conflictAddress = address
    this.#state.counters.add('conflict_count')
    this.#state.effects.emit({ type: 'MemberConflict', nodeId, address })
  }

  #admit(statement: Statement, now: MonotonicMs, passesOn: boolean): void {
    const { table, counters, effects } = this.#state
    if (rankOfStatement(statement.lifecycle) === Ranks.Left || this.#isOversized(statement)) return
    if (statement.incarnation > Number.MAX_SAFE_INTEGER - incarnationJumpMax) {
      counters.add('incarnations_refused')
      return
    }
    if (table.size >= table.membersMax && !this.#makeRoom()) {
      counters.add('members_refused')
      return
    }
    const record = newRecord(statement, now)
    table.add(record)
    this.#live.add(statement.nodeId)
    counters.add('topology_changes')
    effects.emit({ type: 'MemberJoined', member: toMember(record) })
    if (passesOn) this.#pass(statement, now)
  }

  #makeRoom(): boolean {
    const oldest = this.#state.table.oldestGone()
    if (oldest === null) return false
    this.#state.forget(oldest.statement.nodeId)
    return true
  }

  #restateMember(record: MemberRecord, statement: Statement, now: MonotonicMs): void {
    const { incarnation } = statement
    const rank = rankOfStatement(statement.lifecycle)
    const isGreater = compareStanding({ incarnation, rank }, record) > 0
    // What the owner said under the accused incarnation is news too, though it acquits nobody.
    const isMissing =
      incarnation === record.incarnation && incarnation > record.statement.incarnation
    if (!isGreater && !isMissing) return
    if (this.#isAbsurd(record, incarnation) || this.#isOversized(statement)) return
    if (!this.mayClaim(record, statement, now)) {
      this.tellConflict(record, statement)
      return
    }
    const previous = record.statement
    const rankBefore = record.rank
    this.#state.table.setStatement(record, statement)
    record.conflictAddress = null
    if (isGreater) {
      this.#state.suspicions.stop(statement.nodeId)
      this.#state.table.setStanding(record, { incarnation, rank }, now)
      this.#pass(statement, now)
      this.#tellStanding(record, rankBefore, now)
    }
    if (rankBefore <= Ranks.Suspect && isLive(record) && isOtherwise(previous, statement)) {
      const { lifecycle, health } = previous
      this.#state.effects.emit({
        type: 'MemberUpdated',
        member: toMember(record),
        previous: { lifecycle, health }
      })
    }
  }

  #tellStanding(record: MemberRecord, before: Rank, now: MonotonicMs): void {
    const { effects, counters } = this.#state
    const { nodeId } = record.statement
    const member = toMember(record)
    if (record.rank === Ranks.Left) {
      if (before === Ranks.Left) return
      this.#live.remove(nodeId)
      this.#state.armReaping(now)
      counters.add('topology_changes')
      effects.emit({ type: 'MemberLeft', member })
    } else if (before === Ranks.Suspect) {
      record.refutations.push({ at: now, incarnation: record.incarnation })
      if (record.refutations.length > keptRefutationsMax) record.refutations.shift()
      effects.emit({ type: 'MemberRefuted', member })
    } else if (before !== Ranks.Alive) {
      this.#live.add(nodeId)
      counters.add('topology_changes')
      effects.emit({ type: 'MemberJoined', member })
    }
  }

  #suspect(record: MemberRecord, accusation: Accusation, now: MonotonicMs): void {
    const { suspicions, table, counters, effects } = this.#state
    const { incarnation, accuser, nodeId } = accusation
    if (!isLive(record)) return
    if (record.rank === Ranks.Suspect && incarnation === record.incarnation) {
      if (suspicions.confirm(nodeId, accuser)) this.#state.broadcast(nodeId, accusation, now)
      return
    }
    const standing = { incarnation, rank: Ranks.Suspect }
    if (compareStanding(standing, record) <= 0) return
    const wasAlive = record.rank === Ranks.Alive
    table.setStanding(record, standing, now)
    suspicions.start(nodeId, accuser, this.#terms(), now)
    this.#state.broadcast(nodeId, accusation, now)
    if (!wasAlive) return
    counters.add('suspect_count')
    effects.emit({ type: 'MemberSuspected', member: toMember(record), accuser })
  }

  /** Heard since it should have begun to die: no verdict of another is believed at once. */
  #isHeardLately(record: MemberRecord, now: MonotonicMs): boolean {
    if (!isLive(record) || !this.#state.config.buddySystem) return false
    return now < after(record.lastHeardAt, this.#terms().minMs)
  }

  /** A suspect that spoke meanwhile does not know of it, or its answer got lost: it is asked. */
  #maybeAskAgain({ statement, lastHeardAt }: MemberRecord, now: MonotonicMs): boolean {
    const { suspicions, config } = this.#state
    const { nodeId } = statement
    const startedAt = suspicions.of(nodeId)?.startedAt ?? now
    if (!config.buddySystem || lastHeardAt <= startedAt) return false
    if (!suspicions.respite(nodeId, after(now, probeMs(config)))) return false
    this.#ask(nodeId)
    return true
  }

  #terms(): SuspicionTerms {
    const { config, table } = this.#state
    const count = table.liveCount
    const minMs = suspicionMinMs(config, count)
    return {
      minMs,
      maxMs: minMs * config.suspicionMaxTimeoutMult,
      expected: expectedConfirmations(config.suspicionMult, count)
    }
  }

  #bury(
    record: MemberRecord,
    accusation: Accusation,
    verdictBy: 'ownTimer' | 'rumour',
    now: MonotonicMs
  ): void {
    const { suspicions, table, deaths, counters, effects, localHealth } = this.#state
    const { nodeId, incarnation, accuser } = accusation
    if (record.rank === Ranks.Left) return
    const standing = { incarnation, rank: Ranks.Dead }
    if (compareStanding(standing, record) <= 0) return
    const wasDead = record.rank === Ranks.Dead
    const suspicion = suspicions.of(nodeId)
    suspicions.stop(nodeId)
    table.setStanding(record, standing, now)
    this.#state.broadcast(nodeId, { ...accusation, kind: 'dead' }, now)
    if (wasDead) return
    deaths.push({
      nodeId,
      incarnation,
      at: now,
      verdictBy,
      accuser,
      suspicion: suspicion && {
        startedAt: suspicion.startedAt,
        accuser: suspicion.accuser,
        confirmedBy: [...suspicion.confirmedBy],
        verdictAt: suspicion.verdictAt,
        minMs: suspicion.terms.minMs,
        maxMs: suspicion.terms.maxMs,
        expectedConfirmations: suspicion.terms.expected
      },
      probes: [...record.probes],
      refutations: [...record.refutations],
      lastFailedProbe: record.lastFailedProbe,
      lastSeen: record.lastSeen,
      liveMembers: table.liveCount,
      localHealthMultiplier: localHealth.multiplier,
      lastLate: this.#state.lastLate
    })
    this.#live.remove(nodeId)
    this.#state.armReaping(now)
    counters.add('topology_changes')
    effects.emit({ type: 'MemberDied', member: toMember(record), accuser })
  }

  #refute(accusation: Accusation, now: MonotonicMs): void {
    const { self, counters } = this.#state
    if (this.#state.hasLeft || accusation.incarnation < self.incarnation) return
    if (this.#isAbsurd(self, accusation.incarnation)) return
    counters.add('refute_count')
    this.#state.judgeSelf((localHealth) => localHealth.onRefuted())
    this.#state.restate({}, accusation.incarnation + 1, now)
  }

  /** An earlier life of this node, or another that claims its name. */
  #handleOwnStatement(statement: Statement, now: MonotonicMs): void {
    const { self } = this.#state
    const { incarnation } = statement
    if (this.#state.hasLeft || incarnation < self.incarnation) return
    if (incarnation === self.incarnation && !isOtherwise(self.statement, statement)) return
    if (this.#isAbsurd(self, incarnation)) return
    if (statement.address !== self.statement.address) this.tellConflict(self, statement)
    this.#state.restate({}, incarnation + 1, now)
  }

  #isAbsurd(record: MemberRecord, incarnation: number): boolean {
    if (incarnation <= record.incarnation + incarnationJumpMax) return false
    this.#state.counters.add('incarnations_refused')
    return true
  }

  #isOversized(statement: Statement): boolean {
    if (isStatementSmall(statement)) return false
    this.#state.counters.add('rumours_oversized')
    return true
  }

  #pass(statement: Statement, now: MonotonicMs): void {
    this.#state.broadcast(statement.nodeId, { kind: 'statement', statement }, now)
  }
}

/** Whether two statements differ in more than their incarnation. */
export function isOtherwise(a: Statement, b: Statement): boolean {
  const isSame =
    a.address === b.address &&
    a.lifecycle === b.lifecycle &&
    a.health === b.health &&
    a.datacenter === b.datacenter &&
    a.rack === b.rack &&
    a.versionMin === b.versionMin &&
    a.versionMax === b.versionMax
  return !isSame || isOtherDescription(a, b) || !isSameMetadata(a.metadata, b.metadata)
}

function isOtherDescription(a: Statement, b: Statement): boolean {
  return (
    a.capacity.cpus !== b.capacity.cpus ||
    a.capacity.memoryBytes !== b.capacity.memoryBytes ||
    a.capacity.connections !== b.capacity.connections ||
    a.capacity.weight !== b.capacity.weight ||
    a.tags.join() !== b.tags.join()
  )
}

function isSameMetadata(a: Statement['metadata'], b: Statement['metadata']): boolean {
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key])
}
