/** The section of the control group that holds the sessions, and how its parts look in bytes. */
import type { AppliedAt, ControlSection } from '../../control/index.js'
import type { WallMs } from '../../core/ids.js'
import { sessionStates } from '../../core/sql-sessions.js'
import {
  bytes,
  type Codec,
  groupId,
  i64,
  list,
  logIndex,
  nodeId,
  nullable,
  oneOf,
  struct,
  text,
  u64,
  union
} from '../../wire/index.js'
import { preparedStatementsMax } from './messages.js'
import {
  applySessionChange,
  capturesMax,
  type SessionAnswer,
  type SessionChange,
  sessionRefusals
} from './session-changes.js'
import {
  clientNameBytesMax,
  noSessions,
  preparedNameBytesMax,
  type Sessions,
  seenGroupsMax,
  sessionBytesMax,
  sessionIdBytes,
  sessionSettingNameBytesMax,
  sessionSettingValueBytesMax,
  sessionsMax,
  settingsMax,
  tokenHashBytes
} from './session-record.js'

const session = text(sessionIdBytes)
const client = text(clientNameBytesMax)
const epoch = u64
const hash = bytes(tokenHashBytes)
const wallMs = u64 as Codec<number> as Codec<WallMs>
const settingName = text(sessionSettingNameBytesMax)
const settingValue = text(sessionSettingValueBytesMax)
const preparedName = text(preparedNameBytesMax)
const sql = text(sessionBytesMax)

const seen = list(struct({ group: groupId, index: logIndex }), seenGroupsMax)
const captured = { seen, lastInsertRowid: nullable(i64) }
const settings = list(struct({ name: settingName, value: settingValue }), settingsMax)

const record = struct({
  id: session,
  client,
  home: nodeId,
  epoch,
  state: oneOf(sessionStates),
  token: hash,
  usedToken: hash,
  settings,
  prepared: list(struct({ name: preparedName, sql }), preparedStatementsMax),
  ...captured,
  openedAt: wallMs,
  heardAt: wallMs,
  moves: u64,
  reattachments: u64
})

const state: Codec<Sessions> = struct({
  sessions: list(record, sessionsMax),
  opened: u64,
  closed: u64,
  moved: u64,
  reattached: u64,
  expired: u64,
  lost: u64
})

const capturedSessions = list(struct({ session, epoch, ...captured }), capturesMax)

/** Numbers are append-only: a change that was ever in a log keeps its meaning. */
const change: Codec<SessionChange> = union({
  open: [0, struct({ session, client, home: nodeId, token: hash, settings })],
  attach: [1, struct({ session, client, home: nodeId, token: hash, next: hash, ...captured })],
  take: [2, struct({ session, from: nodeId, epoch, home: nodeId, ...captured })],
  capture: [3, struct({ home: nodeId, sessions: capturedSessions })],
  detach: [4, struct({ home: nodeId, sessions: capturedSessions })],
  define: [
    5,
    struct({
      session,
      home: nodeId,
      epoch,
      settings: list(struct({ name: settingName, value: nullable(settingValue) }), settingsMax),
      prepared: list(struct({ name: preparedName, sql: nullable(sql) }), preparedStatementsMax)
    })
  ],
  settle: [6, struct({ session, home: nodeId, epoch })],
  close: [7, struct({ session, home: nullable(nodeId), epoch })]
})

const answer: Codec<SessionAnswer> = union({
  accepted: [0, struct({ home: nullable(nodeId), epoch, foreign: list(session, capturesMax) })],
  refused: [1, struct({ refusal: oneOf(sessionRefusals), home: nullable(nodeId), epoch })]
})

export const sessionsSection: ControlSection<Sessions, SessionChange, SessionAnswer> = {
  name: 'sessions',
  state,
  change,
  answer,
  initial: (): Sessions => noSessions,
  apply: (before: Sessions, given: SessionChange, at: AppliedAt) =>
    applySessionChange(before, given, at)
}
