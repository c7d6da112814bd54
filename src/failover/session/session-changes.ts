/**
 * How the sessions of the cluster change: a pure state machine, applied on every replica of the
 * control group alike. Nodes and programs may be late, doubled, cut off or both sure that a session
 * is theirs; this file alone decides whose it is.
 *
 * Invariants:
 * 1. A session has one home. Its epoch rises with every change that may give it another, and never
 *    goes back; what a node asks carries home and epoch, and with others than the record's changes
 *    nothing. So of two nodes that both hold a session only the later one can still change it. The
 *    first epoch is the index of the entry that opens the session: who asked for that long ago, and
 *    is heard after the session has ended, opens it in a later epoch than any that it had.
 * 2. A token takes a session over once: whoever shows it again is refused, unless it names the same
 *    next token, which makes it the same call again.
 * 3. Only the program that opened a session takes it over, by the name in its certificate.
 * 4. What a session has seen never goes back.
 * 5. Log time alone ends a session that nobody speaks for, and the next change tells of it: all
 *    replicas forget the same ones.
 * 6. Number and size are bounded; at a bound the newcomer is refused, never another one ended.
 * 7. A refusal is an answer and changes nothing but what 5 says.
 */
import type { Applied, AppliedAt } from '../../control/index.js'
import { unreachable } from '../../core/assert.js'
import type { NodeId, WallMs } from '../../core/ids.js'
import type { PreparedStatement, SeenIndex, SessionSetting } from '../../core/sql-sessions.js'
import { preparedStatementsMax } from './messages.js'
import {
  allSessionsBytesMax,
  isSameBytes,
  mergeSeen,
  type SessionRecord,
  type Sessions,
  sessionBytesMax,
  sessionKeptMs,
  sessionsMax,
  settingsMax,
  sizeOfRecord
} from './session-record.js'

/** Sessions of one capture; the rest comes with the next. */
export const capturesMax = 64

/** What has to be known of a session that is at a safe point. */
export interface Captured {
  readonly seen: readonly SeenIndex[]
  readonly lastInsertRowid: bigint | null
}

export interface CapturedSession extends Captured {
  readonly session: string
  readonly epoch: number
}

export type SessionChange =
  | {
      readonly kind: 'open'
      readonly session: string
      readonly client: string
      readonly home: NodeId
      readonly token: Uint8Array
      readonly settings: readonly SessionSetting[]
    }
  /** By its program, with the token, at whichever node. */
  | ({
      readonly kind: 'attach'
      readonly session: string
      readonly client: string
      readonly home: NodeId
      /** SHA-256 of the token that was shown, and of the one that will be. */
      readonly token: Uint8Array
      readonly next: Uint8Array
    } & Captured)
  /** By the target of a move, when it has everything. */
  | ({
      readonly kind: 'take'
      readonly session: string
      readonly from: NodeId
      readonly epoch: number
      readonly home: NodeId
    } & Captured)
  /** By the home: these are spoken for, and have come so far. */
  | {
      readonly kind: 'capture'
      readonly home: NodeId
      readonly sessions: readonly CapturedSession[]
    }
  /** By the home: the programs of these were not heard of for a while. */
  | {
      readonly kind: 'detach'
      readonly home: NodeId
      readonly sessions: readonly CapturedSession[]
    }
  /** By the home: settings and prepared statements; null takes one away. */
  | ({
      readonly kind: 'define'
      readonly session: string
      readonly home: NodeId
      readonly epoch: number
    } & Definitions)
  /** By the home, which does not know what became of a move: from now on it cannot be made. */
  | {
      readonly kind: 'settle'
      readonly session: string
      readonly home: NodeId
      readonly epoch: number
    }
  | {
      readonly kind: 'close'
      readonly session: string
      /** Null: an operator does, whosever it is. */
      readonly home: NodeId | null
      readonly epoch: number
    }

/** Append only: the position is the number in the log. */
export const sessionRefusals = [
  /** Ended, or never was. */
  'unknown',
  /** Another home or epoch than the record's. */
  'fenced',
  /** The token was used, or is none of this session's. */
  'token',
  /** Another program's. */
  'client',
  /** As many sessions, or as much of them, as there may be. */
  'full',
  'tooLarge',
  /** A statement of this name and another text is there. */
  'nameTaken'
] as const
export type SessionRefusal = (typeof sessionRefusals)[number]

export type SessionAnswer =
  | {
      readonly kind: 'accepted'
      readonly home: NodeId | null
      readonly epoch: number
      /** Of a capture or detach: those that are not this home's (any more). */
      readonly foreign: readonly string[]
    }
  | {
      readonly kind: 'refused'
      readonly refusal: SessionRefusal
      /** Whose it is; null: nobody's. */
      readonly home: NodeId | null
      readonly epoch: number
    }

export type SessionOutcome = Applied<Sessions, SessionAnswer>

type ChangeOf<Kind extends SessionChange['kind']> = Extract<SessionChange, { kind: Kind }>

export function applySessionChange(
  before: Sessions,
  change: SessionChange,
  { index, now }: AppliedAt
): SessionOutcome {
  const state = withoutForgotten(before, now)
  if (change.kind === 'open') return open(state, change, { index, now })
  if (change.kind === 'capture' || change.kind === 'detach') return capture(state, change, now)
  const record = state.sessions.find(({ id }) => id === change.session)
  if (record === undefined) return refuse(state, 'unknown', null)
  switch (change.kind) {
    case 'attach':
      return attach(state, record, change, now)
    case 'take':
      return take(state, record, change, now)
    case 'define':
      return define(state, record, change, now)
    case 'settle':
      return settle(state, record, change)
    case 'close':
      return close(state, record, change)
    default:
      return unreachable(change)
  }
}

function withoutForgotten(state: Sessions, now: WallMs): Sessions {
  const isForgotten = ({ heardAt }: SessionRecord) => now - heardAt >= sessionKeptMs
  const forgotten = state.sessions.filter(isForgotten)
  if (forgotten.length === 0) return state
  const lost = forgotten.filter((record) => record.state === 'attached').length
  return {
    ...state,
    sessions: state.sessions.filter((record) => !isForgotten(record)),
    lost: state.lost + lost,
    expired: state.expired + forgotten.length - lost
  }
}

function open(
  state: Sessions,
  change: ChangeOf<'open'>,
  { index, now }: AppliedAt
): SessionOutcome {
  const { session, client, home, token, settings } = change
  const known = state.sessions.find(({ id }) => id === session)
  if (known !== undefined) {
    if (known.client !== client) return refuse(state, 'client', known)
    if (!isSameBytes(known.token, token)) return refuse(state, 'token', known)
    if (known.home === home) return accept(state, known)
    return replace(state, { ...known, home, epoch: known.epoch + 1, heardAt: now })
  }
  const opened: SessionRecord = {
    id: session,
    client,
    home,
    epoch: index,
    state: 'attached',
    token,
    usedToken: new Uint8Array(0),
    settings,
    prepared: [],
    seen: [],
    lastInsertRowid: null,
    openedAt: now,
    heardAt: now,
    moves: 0,
    reattachments: 0
  }
  if (isTooLarge(opened)) return refuse(state, 'tooLarge', null)
  if (state.sessions.length >= sessionsMax || !hasRoomFor(state, opened)) {
    return refuse(state, 'full', null)
  }
  const sessions = [...state.sessions, opened]
  return accept({ ...state, sessions, opened: state.opened + 1 }, opened)
}

function attach(
  state: Sessions,
  record: SessionRecord,
  change: ChangeOf<'attach'>,
  now: WallMs
): SessionOutcome {
  const { client, home, token, next, seen, lastInsertRowid } = change
  if (record.client !== client) return refuse(state, 'client', record)
  const isFresh = isSameBytes(token, record.token)
  const isAgain = isSameBytes(token, record.usedToken) && isSameBytes(next, record.token)
  if (!isFresh && !isAgain) return refuse(state, 'token', record)
  if (isAgain && record.home === home) return accept(state, record)
  const attached: SessionRecord = {
    ...record,
    home,
    epoch: record.epoch + 1,
    state: 'attached',
    token: next,
    usedToken: token,
    seen: mergeSeen(record.seen, seen),
    lastInsertRowid: lastInsertRowid ?? record.lastInsertRowid,
    heardAt: now,
    reattachments: record.reattachments + 1
  }
  return replace({ ...state, reattached: state.reattached + 1 }, attached)
}

function take(
  state: Sessions,
  record: SessionRecord,
  { from, epoch, home, seen, lastInsertRowid }: ChangeOf<'take'>,
  now: WallMs
): SessionOutcome {
  if (!isOf(record, from, epoch)) return refuse(state, 'fenced', record)
  const taken: SessionRecord = {
    ...record,
    home,
    epoch: epoch + 1,
    state: 'attached',
    seen: mergeSeen(record.seen, seen),
    lastInsertRowid,
    heardAt: now,
    moves: record.moves + 1
  }
  return replace({ ...state, moved: state.moved + 1 }, taken)
}

function capture(
  state: Sessions,
  change: ChangeOf<'capture' | 'detach'>,
  now: WallMs
): SessionOutcome {
  const captured = new Map(change.sessions.map((one) => [one.session, one]))
  const foreign = new Set(captured.keys())
  const isDetached = change.kind === 'detach'
  const sessions = state.sessions.map((record) => {
    const given = captured.get(record.id)
    if (given === undefined || !isOf(record, change.home, given.epoch)) return record
    foreign.delete(record.id)
    return {
      ...record,
      state: isDetached ? ('detached' as const) : ('attached' as const),
      seen: mergeSeen(record.seen, given.seen),
      lastInsertRowid: given.lastInsertRowid,
      heardAt: isDetached ? record.heardAt : now
    }
  })
  const answer = { kind: 'accepted', home: change.home, epoch: 0, foreign: [...foreign] } as const
  return { state: { ...state, sessions }, answer }
}

function define(
  state: Sessions,
  record: SessionRecord,
  { home, epoch, settings, prepared }: ChangeOf<'define'>,
  now: WallMs
): SessionOutcome {
  if (!isOf(record, home, epoch)) return refuse(state, 'fenced', record)
  const merged = mergeDefinitions(record, { settings, prepared })
  if (merged === null) return refuse(state, 'nameTaken', record)
  const defined: SessionRecord = { ...record, ...merged, state: 'attached', heardAt: now }
  if (isTooLarge(defined)) return refuse(state, 'tooLarge', record)
  if (!hasRoomFor(state, defined)) return refuse(state, 'full', record)
  return replace(state, defined)
}

export interface Definitions {
  readonly settings: readonly { readonly name: string; readonly value: string | null }[]
  readonly prepared: readonly { readonly name: string; readonly sql: string | null }[]
}

/** Null: a name is taken by another text. */
export function mergeDefinitions(
  before: Pick<SessionRecord, 'settings' | 'prepared'>,
  { settings, prepared }: Definitions
): Pick<SessionRecord, 'settings' | 'prepared'> | null {
  const sqlByName = new Map(before.prepared.map(({ name, sql }) => [name, sql]))
  for (const { name, sql } of prepared) {
    const known = sqlByName.get(name)
    if (sql !== null && known !== undefined && known !== sql) return null
    if (sql === null) sqlByName.delete(name)
    else sqlByName.set(name, sql)
  }
  const valueByName = new Map(before.settings.map(({ name, value }) => [name, value]))
  for (const { name, value } of settings) {
    if (value === null) valueByName.delete(name)
    else valueByName.set(name, value)
  }
  return {
    settings: [...valueByName].map(([name, value]): SessionSetting => ({ name, value })),
    prepared: [...sqlByName].map(([name, sql]): PreparedStatement => ({ name, sql }))
  }
}

function settle(
  state: Sessions,
  record: SessionRecord,
  { home, epoch }: ChangeOf<'settle'>
): SessionOutcome {
  if (!isOf(record, home, epoch)) return refuse(state, 'fenced', record)
  return replace(state, { ...record, epoch: epoch + 1 })
}

function close(
  state: Sessions,
  record: SessionRecord,
  { home, epoch }: ChangeOf<'close'>
): SessionOutcome {
  if (home !== null && !isOf(record, home, epoch)) return refuse(state, 'fenced', record)
  const sessions = state.sessions.filter((one) => one !== record)
  return accept({ ...state, sessions, closed: state.closed + 1 }, record)
}

const isOf = (record: SessionRecord, home: NodeId, epoch: number): boolean =>
  record.home === home && record.epoch === epoch

const isTooLarge = (record: SessionRecord): boolean =>
  record.settings.length > settingsMax ||
  record.prepared.length > preparedStatementsMax ||
  sizeOfRecord(record) > sessionBytesMax

/** Room for the record in the place of the one that is there under its id. */
function hasRoomFor({ sessions }: Sessions, record: SessionRecord): boolean {
  let bytes = sizeOfRecord(record)
  for (const one of sessions) if (one.id !== record.id) bytes += sizeOfRecord(one)
  return bytes <= allSessionsBytesMax
}

const replace = (state: Sessions, record: SessionRecord): SessionOutcome =>
  accept(
    { ...state, sessions: state.sessions.map((one) => (one.id === record.id ? record : one)) },
    record
  )

const accept = (state: Sessions, { home, epoch }: SessionRecord): SessionOutcome => ({
  state,
  answer: { kind: 'accepted', home, epoch, foreign: [] }
})

const refuse = (
  state: Sessions,
  refusal: SessionRefusal,
  record: SessionRecord | null
): SessionOutcome => ({
  state,
  answer: { kind: 'refused', refusal, home: record?.home ?? null, epoch: record?.epoch ?? 0 }
})
