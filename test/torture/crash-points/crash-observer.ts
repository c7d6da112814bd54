/** Crash points at what replicas make durable and promise to one another. */

import { decodePayload } from '../../../src/consensus/group/group-payload.js'
import { decodeEntryPayload } from '../../../src/consensus/index.js'
import { CONTROL_GROUP } from '../../../src/core/index.js'
import type { LogEntry, PersistRequest } from '../../../src/core/ports/log-store.js'
import type { ObservedMessage, ReplicaObserver } from '../../../src/core/ports/replica-observer.js'
import { decodeChanges } from '../../../src/failover/two-phase/changes.js'
import { crashingEngine } from './crash-engine.js'
import type { CrashPoints } from './crash-points.js'

type Step =
  | 'vote_persist'
  | 'entries_persist'
  | 'base_persist'
  | 'restored_base_persist'
  | 'prepare_persist'
  | 'decision_persist'

export function crashingObserver(points: CrashPoints): ReplicaObserver {
  return {
    onRecovered() {},
    onPersist(request) {
      for (const step of stepsOf(request, points)) {
        if (step !== 'restored_base_persist') points.hit(`${step}.before`)
      }
    },
    onPersisted(request) {
      for (const step of stepsOf(request, points)) points.hit(`${step}.after`)
    },
    onSend(message) {
      const step = promiseOf(message)
      if (step === null) return
      points.hit(`${step}.before`)
      points.hitSoon(`${step}.after`)
    },
    watched: (group, engine) => (group === CONTROL_GROUP ? engine : crashingEngine(engine, points))
  }
}

function promiseOf({ kind, granted, rejected }: ObservedMessage) {
  if (kind === 'voteResponse' && granted === true) return 'vote_answer'
  return kind === 'appendEntriesResponse' && rejected === false ? 'entries_answer' : null
}

function stepsOf({ hardState, base, entries }: PersistRequest, points: CrashPoints): Step[] {
  const steps: Step[] = []
  if (hardState !== null && hardState.vote !== null) steps.push('vote_persist')
  if (base) steps.push(base.replacesLog ? 'restored_base_persist' : 'base_persist')
  if (entries.length > 0) steps.push('entries_persist')
  for (const [step, kind] of transactionSteps) {
    const isAsked = points.isArmed(`${step}.before`) || points.isArmed(`${step}.after`)
    if (isAsked && entries.some((entry) => holds(entry, kind))) steps.push(step)
  }
  return steps
}

const transactionSteps = [
  ['prepare_persist', 'prepare'],
  ['decision_persist', 'decide']
] as const

/** Whether the entry is one of a group's transactions, with a change of this kind. */
function holds({ payload }: LogEntry, kind: 'prepare' | 'decide'): boolean {
  const outer = decodeEntryPayload(payload)
  if (outer.kind !== 'batch') return false
  const inner = decodePayload(outer.bytes)
  if (inner.kind !== 'system' || inner.section !== 'transactions') return false
  return decodeChanges(inner.bytes).some((change) => change.kind === kind)
}
