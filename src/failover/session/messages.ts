/** Sessions that move from one node to another: numbers 0x0600 to 0x063F, append only. */
import { Priorities } from '../../core/ports/messenger.js'
import { migrationReasons, migrationRefusals, moveOutcomes } from '../../core/sql-sessions.js'
import {
  bool,
  bytes,
  declareRequest,
  groupId,
  i64,
  list,
  logIndex,
  nodeId,
  nullable,
  oneOf,
  openStruct,
  struct,
  text,
  u32,
  u64
} from '../../wire/index.js'
import {
  clientNameBytesMax,
  preparedNameBytesMax,
  seenGroupsMax,
  sessionBytesMax,
  sessionIdBytes,
  sessionSettingNameBytesMax,
  sessionSettingValueBytesMax,
  settingsMax
} from './session-record.js'

/** What an engine keeps of one session and gives along when it moves. */
export const sessionStateBytesMax = 256 * 1024
/** Prepared statements of one session. */
export const preparedStatementsMax = 1_024
/** Of a refusal's explanation. */
export const moveDetailBytesMax = 512

/** A character takes four bytes at most. */
export const cutDetail = (detail: string): string => detail.slice(0, moveDetailBytesMax / 4)

const session = text(sessionIdBytes)
const reason = oneOf(migrationReasons)
const refusal = nullable(oneOf(migrationRefusals))
const detail = text(moveDetailBytesMax)

export const clientMigration = declareRequest({
  number: 0x0600,
  name: 'ClientMigration',
  answerName: 'ClientMigrationAck',
  priority: Priorities.High,
  body: openStruct({
    session,
    /** Whose it is: the name in its certificate. */
    client: text(clientNameBytesMax),
    reason,
    origin: nodeId,
    target: nodeId,
    /** In which the origin has it; the target has it in the next one. */
    epoch: u64,
    /** The session has seen everything of each group up to its index. */
    seen: list(struct({ group: groupId, index: logIndex }), seenGroupsMax),
    lastInsertRowid: nullable(i64),
    settings: list(
      struct({ name: text(sessionSettingNameBytesMax), value: text(sessionSettingValueBytesMax) }),
      settingsMax
    ),
    prepared: list(
      struct({ name: text(preparedNameBytesMax), sql: text(sessionBytesMax) }),
      preparedStatementsMax
    ),
    /** What the origin's engine keeps of it. */
    state: bytes(sessionStateBytesMax)
  }),
  answer: openStruct({
    accepted: bool,
    epoch: u64,
    /** Why it was not accepted. */
    refusal,
    detail
  }),
  about: 'Hands a session to another node; when it is acknowledged the target is its home.'
})

export const sessionMove = declareRequest({
  number: 0x0602,
  name: 'SessionMove',
  priority: Priorities.High,
  body: openStruct({
    session,
    /** Null: whichever the home chooses. */
    target: nullable(nodeId),
    reason,
    timeoutMs: u32
  }),
  answer: openStruct({
    client: text(clientNameBytesMax),
    target: nullable(nodeId),
    outcome: oneOf(moveOutcomes),
    refusal,
    detail,
    epoch: u64,
    tookMs: u32
  }),
  about: 'Asks the home of a session to move it.'
})

/** Everything this file declares, for the catalogue. */
export const sessionMessages = [clientMigration, sessionMove] as const
