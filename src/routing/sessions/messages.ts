/**
 * What a program says of its SQL session to whichever node: numbers 0x030C to 0x033F, append only.
 * Its queries are `Query` with the session's name.
 */
import { Priorities } from '../../core/ports/messenger.js'
import {
  bytes,
  declareRequest,
  groupId,
  i64,
  list,
  logIndex,
  nodeId,
  nullable,
  openStruct,
  struct,
  text,
  u64
} from '../../wire/index.js'

/** Bytes of a session's id: 32 hex digits. */
export const sessionIdLength = 32
/** Bytes of a token, and of the SHA-256 that stands for it where others see it. */
export const sessionTokenBytes = 32
/** Of one session, as the message that tells it carries them. */
export const toldSettingsMax = 64
export const toldStatementsMax = 1_024
export const toldGroupsMax = 64
export const definedTextBytesMax = 48 * 1024

const session = text(sessionIdLength)
const epoch = u64
const token = bytes(sessionTokenBytes)
const settingName = text(63)
const settingValue = text(255)
export const preparedName = text(63)
const sql = text(definedTextBytesMax)
const captured = {
  seen: list(struct({ group: groupId, index: logIndex }), toldGroupsMax),
  lastInsertRowid: nullable(i64)
}
const settings = list(struct({ name: settingName, value: settingValue }), toldSettingsMax)
const { High } = Priorities

export const sessionOpen = declareRequest({
  number: 0x030c,
  name: 'SessionOpen',
  priority: High,
  senders: ['client'],
  secret: true,
  body: openStruct({
    session,
    /** SHA-256 of the token that will re-attach it. */
    token,
    settings
  }),
  answer: openStruct({ home: nodeId, epoch }),
  about: 'Opens a SQL session whose home is the asked node; again with the same token is harmless.'
})

export const sessionAttach = declareRequest({
  number: 0x030e,
  name: 'SessionAttach',
  priority: High,
  senders: ['client'],
  secret: true,
  body: openStruct(
    {
      session,
      /** Used up by this. */
      token,
      /** SHA-256 of the token that will do it the next time. */
      next: token,
      /** What the program knows that the session has seen. */
      ...captured
    },
    {
      /** The home that it knows: where the cluster has moved it since, it is told so instead. */
      from: [1, nodeId]
    }
  ),
  answer: openStruct({
    home: nodeId,
    epoch,
    settings,
    prepared: list(struct({ name: preparedName, sql }), toldStatementsMax),
    ...captured
  }),
  about: 'Takes a session over whose home was lost: the asked node is its home from now on.'
})

export const sessionDefine = declareRequest({
  number: 0x0310,
  name: 'SessionDefine',
  priority: High,
  senders: ['client'],
  body: openStruct({
    session,
    /** Null takes one away. */
    settings: list(struct({ name: settingName, value: nullable(settingValue) }), toldSettingsMax),
    prepared: list(struct({ name: preparedName, sql: nullable(sql) }), toldStatementsMax)
  }),
  answer: openStruct({ epoch }),
  about: 'Sets settings and prepares statements of a session; answered when it is replicated.'
})

export const sessionKeep = declareRequest({
  number: 0x0312,
  name: 'SessionKeep',
  priority: High,
  senders: ['client'],
  body: openStruct({ session }),
  answer: openStruct({ epoch }),
  about: 'Says that the program is there, and asks whether the session still is here.'
})

export const sessionClose = declareRequest({
  number: 0x0314,
  name: 'SessionClose',
  priority: High,
  senders: ['client'],
  body: openStruct({ session }),
  answer: openStruct({}),
  about: 'Ends a session.'
})

/** Everything this file declares, for the catalogue. */
export const clientSessionMessages = [
  sessionOpen,
  sessionAttach,
  sessionDefine,
  sessionKeep,
  sessionClose
] as const
