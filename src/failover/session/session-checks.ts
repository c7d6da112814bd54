/** What a program may give a session, and what a node can take over from another one. */
import type { EngineSessions, SessionFault } from '../../core/ports/engine-sessions.js'
import { ownSettingFault, ownSettingNames } from '../../core/session-settings.js'
import type { PreparedStatement, SessionSetting } from '../../core/sql-sessions.js'
import { sessionIdBytes, sessionSettingValueBytesMax } from './session-record.js'

const names = /^[A-Za-z_][A-Za-z0-9_.-]{0,62}$/
const values = /^[\x20-\x7e]*$/
const ids = /^[0-9a-f]+$/

export const isSessionId = (id: string): boolean => id.length === sessionIdBytes && ids.test(id)

export function nameFault(name: string): string | null {
  return names.test(name) ? null : 'a letter, then at most 62 letters, digits, ".", "_" or "-"'
}

/** Null: it is known and fine. */
export function settingFault(
  setting: SessionSetting,
  engine: EngineSessions | null
): string | null {
  const { name, value } = setting
  const fault = nameFault(name)
  if (fault !== null) return fault
  if (value.length > sessionSettingValueBytesMax || !values.test(value)) {
    return `${name}: at most ${sessionSettingValueBytesMax} printable characters`
  }
  const own = ownSettingFault(setting)
  if (own !== undefined) return own
  const engines = engine?.settingFault(setting)
  return engines === undefined ? `${name} is none of ${ownSettingNames.join(', ')}` : engines
}

/** Why a session with these cannot be at home here; null: it can. */
export function takeFault(
  given: {
    readonly settings: readonly SessionSetting[]
    readonly prepared: readonly PreparedStatement[]
  },
  {
    engine,
    check
  }: {
    readonly engine: EngineSessions | null
    /** Throws when it is no statement that could run. */
    readonly check: (sql: string) => unknown
  }
): SessionFault | null {
  for (const setting of given.settings) {
    const detail = settingFault(setting, engine)
    if (detail !== null) return { refusal: 'settingRefused', detail }
  }
  for (const { name, sql } of given.prepared) {
    try {
      check(sql)
    } catch (error) {
      return { refusal: 'statementRefused', detail: `${name}: ${messageOf(error)}` }
    }
  }
  return null
}

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)
