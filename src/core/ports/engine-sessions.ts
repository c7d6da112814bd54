import type { MigrationRefusal, SessionSetting } from '../sql-sessions.js'

/** Why a session cannot leave this node, or cannot come to it. */
export interface SessionFault {
  readonly refusal: MigrationRefusal
  readonly detail: string
}

export type SessionCapture =
  | { readonly kind: 'captured'; readonly state: Uint8Array }
  | ({ readonly kind: 'refused' } & SessionFault)

/**
 * What an engine keeps of a session at its home, beside what every session has: an embedder's
 * engine with temporary tables, cursors or locks of a session says by this what a move must carry,
 * or why it cannot. An engine without it keeps nothing.
 *
 * Contract:
 * 1. `capture` is called at a safe point and changes nothing: the session may stay.
 * 2. After `restore` answered null the session may run here, or be forgotten again.
 * 3. `forget` ends what is kept here, whatever it is; of an unknown session it is harmless.
 */
export interface EngineSessions {
  /** Undefined: it does not know the setting. Null: it takes the value. Else what is wrong. */
  settingFault(setting: SessionSetting): string | null | undefined
  capture(session: string): Promise<SessionCapture>
  restore(session: string, state: Uint8Array): Promise<SessionFault | null>
  forget(session: string): void
}
