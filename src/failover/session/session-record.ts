/** What the control group keeps of each session, and how much of it there may be. */
import type { GroupId, LogIndex, NodeId, WallMs } from '../../core/ids.js'
import type {
  PreparedStatement,
  SeenIndex,
  SessionSetting,
  SessionState,
  SessionTotals
} from '../../core/sql-sessions.js'

/** Sessions of the cluster. */
export const sessionsMax = 2_048
/** Settings, prepared statements and the rest of one session, about. */
export const sessionBytesMax = 48 * 1024
/** Of all of them together: the section's state fits into a message. */
export const allSessionsBytesMax = 800 * 1024
/** One session's own. */
export const settingsMax = 64
/** Groups whose index a session remembers. */
export const seenGroupsMax = 64
/** Log time for which a session that nobody speaks for is kept. */
export const sessionKeptMs = 600_000

/** Bytes of a session's id: 32 hex digits, drawn by its program. */
export const sessionIdBytes = 32
export const clientNameBytesMax = 255
export const sessionSettingNameBytesMax = 63
export const sessionSettingValueBytesMax = 255
export const preparedNameBytesMax = 63
/** A SHA-256. */
export const tokenHashBytes = 32

export interface SessionRecord {
  readonly id: string
  readonly client: string
  readonly home: NodeId
  readonly epoch: number
  readonly state: SessionState
  /** SHA-256 of the token that takes the session over, once. */
  readonly token: Uint8Array
  /** Of the one before, which was used; empty: there was none. */
  readonly usedToken: Uint8Array
  readonly settings: readonly SessionSetting[]
  readonly prepared: readonly PreparedStatement[]
  readonly seen: readonly SeenIndex[]
  readonly lastInsertRowid: bigint | null
  readonly openedAt: WallMs
  readonly heardAt: WallMs
  readonly moves: number
  readonly reattachments: number
}

export interface Sessions extends SessionTotals {
  /** Oldest first. */
  readonly sessions: readonly SessionRecord[]
}

export const noSessions: Sessions = {
  sessions: [],
  opened: 0,
  closed: 0,
  moved: 0,
  reattached: 0,
  expired: 0,
  lost: 0
}

/** About as many as its encoding takes, rather more. */
export function sizeOfRecord({ client, settings, prepared, seen }: SessionRecord): number {
  let bytes = 256 + 3 * client.length + 12 * seen.length
  for (const { name, value } of settings) bytes += 4 + 3 * (name.length + value.length)
  for (const { name, sql } of prepared) bytes += 6 + 3 * name.length + utf8BytesOf(sql)
  return bytes
}

/** An upper bound: three bytes for what is not ASCII. */
function utf8BytesOf(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) bytes += 2
  return bytes
}

/** The later of both, group by group; those of `seen` that do not fit are left out. */
export function mergeSeen(
  known: readonly SeenIndex[],
  seen: readonly SeenIndex[]
): readonly SeenIndex[] {
  const byGroup = new Map<GroupId, LogIndex>(known.map(({ group, index }) => [group, index]))
  for (const { group, index } of seen) {
    const before = byGroup.get(group)
    if (before === undefined && byGroup.size >= seenGroupsMax) continue
    if (before === undefined || index > before) byGroup.set(group, index)
  }
  return [...byGroup].map(([group, index]) => ({ group, index }))
}

export const isSameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, i) => byte === other[i])
