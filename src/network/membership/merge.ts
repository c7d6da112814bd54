/**
 * State exchange: what one node gives of its table, and what another makes of it. A verdict of the
 * other side is treated as a suspicion, never as a fact: a joiner with an old view kills nobody.
 */
import { must } from '../../core/assert.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import { Livenesses } from '../../core/member.js'
import { shuffle } from '../../core/splittable-random.js'
import { isLive, type MemberRecord, toMemberState } from './member-table.js'
import {
  exchangeBytesMax,
  exchangedMembersMax,
  type MemberState,
  memberStateBytes
} from './messages.js'
import { Ranks } from './precedence.js'
import type { Rumours } from './rumours.js'
import type { SwimState } from './swim-state.js'

/** This node first; where not all fit, a random share of the rest, live ones before the others. */
export function exchangedMembers(
  state: SwimState,
  bytesMax: number = exchangeBytesMax
): MemberState[] {
  const { table, random } = state
  const given = [toMemberState(table.self)]
  let leftBytes = bytesMax - memberStateBytes(must(given[0], 'own state'))
  const live = shuffle(random, table.others(isLive))
  const gone = shuffle(
    random,
    table.others((record) => !isLive(record))
  )
  for (const record of [...live, ...gone]) {
    const member = toMemberState(record)
    leftBytes -= memberStateBytes(member)
    if (leftBytes < 0 || given.length === exchangedMembersMax) break
    given.push(member)
  }
  return given
}

/** Takes over what `from` knows. */
export function mergeMembers(
  state: SwimState,
  rumours: Rumours,
  members: readonly MemberState[],
  from: NodeId,
  now: MonotonicMs
): void {
  // A newcomer is told what the others know: nobody waits to hear it from the newcomer.
  const passesOn = state.table.size > 1
  for (const { statement, liveness, incarnation } of members) {
    const { nodeId } = statement
    const record = state.table.get(nodeId)
    // Somebody that is dead over there and was never heard of here is no news.
    if (liveness === Livenesses.Dead && isUnheardOf(record)) continue
    rumours.handleStatement(statement, now, passesOn)
    if (liveness === Livenesses.Alive) continue
    rumours.handleAccusation({ kind: 'suspect', nodeId, incarnation, accuser: from }, now)
  }
}

const isUnheardOf = (record: MemberRecord | undefined): boolean =>
  record === undefined || record.rank === Ranks.Left
