/**
 * Who did what, when, through which node, with what result: the newest of the whole cluster, in one
 * order, however many nodes are lost.
 */
import { list, nodeId, struct, type TypeOf, text, u16, u64 } from '../../wire/codec.js'
import { wallMs } from '../change-command.js'
import type { ControlSection } from '../section.js'

/** The newest are kept; at the bound the oldest goes. */
export const auditEntriesMax = 1_024

/** In UTF-8; longer ones are cut by whoever records. */
export const auditNameBytesMax = 64
export const auditActionBytesMax = 320

const recorded = {
  /** Through which it was done. */
  node: nodeId,
  principal: text(auditNameBytesMax),
  role: text(auditNameBytesMax),
  /** From which it was asked; empty: from within. */
  address: text(auditNameBytesMax),
  /** Such as `POST /v1/keys/install`. */
  action: text(auditActionBytesMax),
  /** As HTTP tells it. */
  status: u16
} as const

const entry = struct({ sequence: u64, at: wallMs, ...recorded })
export type AuditEntry = TypeOf<typeof entry>

const state = struct({
  /** Of the newest; they count from 1 and none is left out. */
  sequence: u64,
  /** Oldest first. */
  entries: list(entry, auditEntriesMax)
})
export type AuditState = TypeOf<typeof state>

const change = struct(recorded)
export type AuditChange = TypeOf<typeof change>

const answer = struct({ sequence: u64 })
export type AuditAnswer = TypeOf<typeof answer>

export const auditSection: ControlSection<AuditState, AuditChange, AuditAnswer> = {
  name: 'audit',
  state,
  change,
  answer,
  initial: () => ({ sequence: 0, entries: [] }),
  apply(before, change, { now }) {
    const sequence = before.sequence + 1
    const { node, principal, role, address, action, status } = change
    const added = { sequence, at: now, node, principal, role, address, action, status }
    const kept = before.entries.slice(Math.max(0, before.entries.length + 1 - auditEntriesMax))
    kept.push(added)
    return { state: { sequence, entries: kept }, answer: { sequence } }
  }
}
