/**
 * The settings of a session that Skein itself gives a meaning to. An engine may take more
 * (`EngineSessions`).
 */
import { Priorities, type Priority } from './ports/messenger.js'
import { Consistencies, type Consistency } from './queries.js'
import type { SessionSetting } from './sql-sessions.js'

/** Of its queries that do not say otherwise. */
export interface SessionDefaults {
  readonly consistency?: Consistency
  readonly priority?: Priority
  readonly timeoutMs?: number
  /** It may not write. */
  readonly readOnly: boolean
}

const sessionTimeoutMsMax = 3_600_000

const priorities: Readonly<Record<string, Priority>> = {
  critical: Priorities.Critical,
  high: Priorities.High,
  normal: Priorities.Normal,
  low: Priorities.Low
}

const switches: Readonly<Record<string, boolean>> = { on: true, off: false }

const faultsByName: Readonly<Record<string, (value: string) => string | null>> = {
  consistency: (value) =>
    consistencyIn(value) === undefined
      ? `consistency is one of ${Object.values(Consistencies).join(', ')}`
      : null,
  priority: (value) =>
    priorityIn(value) === undefined
      ? `priority is one of ${Object.keys(priorities).join(', ')}`
      : null,
  read_only: (value) => (Object.hasOwn(switches, value) ? null : 'read_only is on or off'),
  timeout_ms: (value) =>
    timeoutIn(value) === undefined ? `timeout_ms is 1 to ${sessionTimeoutMsMax}` : null
}

export const ownSettingNames: readonly string[] = Object.keys(faultsByName)

/** Undefined: it is none of Skein's own. Null: the value is fine. Else what is wrong with it. */
export function ownSettingFault({ name, value }: SessionSetting): string | null | undefined {
  return Object.hasOwn(faultsByName, name) ? faultsByName[name]?.(value) : undefined
}

export function sessionDefaultsOf(settings: readonly SessionSetting[]): SessionDefaults {
  const settingOf = (name: string) => settings.find((setting) => setting.name === name)?.value ?? ''
  const consistency = consistencyIn(settingOf('consistency'))
  const priority = priorityIn(settingOf('priority'))
  const timeoutMs = timeoutIn(settingOf('timeout_ms'))
  return {
    ...(consistency === undefined ? {} : { consistency }),
    ...(priority === undefined ? {} : { priority }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    readOnly: switches[settingOf('read_only')] ?? false
  }
}

const consistencyIn = (value: string): Consistency | undefined =>
  Object.values(Consistencies).find((one) => one === value)

const priorityIn = (value: string): Priority | undefined =>
  Object.hasOwn(priorities, value) ? priorities[value] : undefined

function timeoutIn(value: string): number | undefined {
  const ms = /^\d{1,7}$/.test(value) ? Number(value) : 0
  return ms >= 1 && ms <= sessionTimeoutMsMax ? ms : undefined
}
