/** Sessions that move from one node to another: numbers 0x0600 to 0x063F, append only. */
import { Priorities } from '../../core/ports/messenger.js'
import {
  bool,
  bytes,
  declareRequest,
  list,
  nodeId,
  oneOf,
  openStruct,
  struct,
  text,
  u64
} from '../../wire/index.js'

/** State of one session: settings, prepared statements, what it has read. */
export const sessionStateBytesMax = 256 * 1024
/** Prepared statements of one session. */
export const preparedStatementsMax = 1_024

/** Why a client is to go elsewhere. Append only. */
export const migrationReasons = [
  'drain',
  'restart',
  'failover',
  'rebalance',
  'maintenance',
  'requested'
] as const
export type MigrationReason = (typeof migrationReasons)[number]

export const clientMigration = declareRequest({
  number: 0x0600,
  name: 'ClientMigration',
  answerName: 'ClientMigrationAck',
  priority: Priorities.High,
  body: openStruct({
    session: text(64),
    client: text(255),
    reason: oneOf(migrationReasons),
    origin: nodeId,
    target: nodeId,
    /** Rises with every move; the higher one is the session's only home. */
    epoch: u64,
    /** The session has seen everything up to this index of its group. */
    atLeastIndex: u64,
    prepared: list(struct({ name: text(63), sql: text(65_536) }), preparedStatementsMax),
    state: bytes(sessionStateBytesMax)
  }),
  answer: openStruct({
    accepted: bool,
    epoch: u64,
    /** Why it was not accepted. */
    reason: text(512)
  }),
  about: 'Hands a session to another node; when it is acknowledged the target is its home.'
})

/** Everything this file declares, for the catalogue. */
export const sessionMessages = [clientMigration] as const
