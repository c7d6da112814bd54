import { type ConfigFault, InvalidConfigError } from '../errors.js'
import { deepFreeze, fieldNames, isPlainObject, merge } from './layers.js'
import { type PresetName, presetNames, presets } from './presets.js'
import { brokenRelations } from './relations.js'
import { type Config, configSchema } from './schema.js'

type Issue = NonNullable<ReturnType<typeof configSchema.safeParse>['error']>['issues'][number]

export interface ConfigSources {
  readonly preset?: PresetName
  /** A parsed file. */
  readonly file?: unknown
  /** `SKEIN_SECTION_FIELD=value`, such as SKEIN_MEMBERSHIP_PROBE_INTERVAL_MS=200. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** From code; strongest. */
  readonly code?: unknown
  /** Faults that core does not know of; asked with the fields that are right by themselves. */
  readonly roomFaults?: RoomFaults
}

export type RoomFaults = (config: Config) => readonly ConfigFault[]

/**
 * Preset, then file, then environment, then code; later ones win field by field. The caller's
 * objects are not changed and the answer is frozen.
 *
 * @throws InvalidConfigError with every fault at once
 */
export function resolveConfig(sources: ConfigSources): Config {
  const faults: ConfigFault[] = []
  const { roomFaults = () => [] } = sources
  const layers = [presetLayer(sources, faults), sources.file, environmentLayer(sources, faults)]
  const merged = [...layers, sources.code].reduce<unknown>(merge, {})
  const parsed = configSchema.safeParse(merged)
  if (!parsed.success) {
    const { issues } = parsed.error
    for (const issue of issues) {
      faults.push({ path: issue.path.join('.') || '(root)', message: issue.message })
    }
    throw new InvalidConfigError([...faults, ...relationFaults(merged, issues, roomFaults)])
  }
  faults.push(...brokenRelations(parsed.data), ...roomFaults(parsed.data))
  if (faults.length > 0) throw new InvalidConfigError(faults)
  return deepFreeze(parsed.data)
}

/** Relations that hold no more, among the fields that are right by themselves. */
function relationFaults(
  merged: unknown,
  issues: readonly Issue[],
  roomFaults: RoomFaults
): ConfigFault[] {
  const rest = structuredClone(merged)
  for (const issue of issues) {
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : []
    if (keys.length === 0) removeAt(rest, issue.path)
    for (const key of keys) removeAt(rest, [...issue.path, key])
  }
  // Required fields that were faulty too need some value, at which no relation will look.
  const parsed = configSchema.safeParse(merge({ node: { id: 'x', dataDirectory: 'x' } }, rest))
  const faulty = issues
    .filter(({ code }) => code !== 'unrecognized_keys')
    .map(({ path }) => path.join('.'))
  if (!parsed.success) return []
  return [...brokenRelations(parsed.data, faulty), ...roomFaults(parsed.data)]
}

/** An item of a list goes with its list. */
function removeAt(root: unknown, path: readonly PropertyKey[]): void {
  let parent: unknown = root
  for (const [depth, key] of path.entries()) {
    if (!isPlainObject(parent) || typeof key !== 'string') return
    const child = parent[key]
    if (depth === path.length - 1 || Array.isArray(child)) {
      delete parent[key]
      return
    }
    parent = child
  }
}

function presetLayer(sources: ConfigSources, faults: ConfigFault[]): unknown {
  const name: string = sources.preset ?? 'lan'
  if (name in presets) return presets[name as PresetName]
  faults.push({ path: 'preset', message: `must be one of ${presetNames.join(', ')}` })
  return {}
}

function environmentLayer(sources: ConfigSources, faults: ConfigFault[]): unknown {
  const layer: Record<string, Record<string, unknown>> = {}
  for (const [variable, text] of Object.entries(sources.environment ?? {})) {
    if (!variable.startsWith('SKEIN_') || text === undefined) continue
    const target = fieldOf(variable)
    if (target === null) {
      faults.push({ path: variable, message: 'names no configuration field' })
      continue
    }
    const section = layer[target.section] ?? {}
    section[target.field] = parseScalar(text)
    layer[target.section] = section
  }
  return layer
}

/** SKEIN_MEMBERSHIP_PROBE_INTERVAL_MS → membership.probeIntervalMs; null when there is none. */
function fieldOf(variable: string): { section: string; field: string } | null {
  const words = variable.slice('SKEIN_'.length).toLowerCase().split('_')
  const section = words[0] ?? ''
  const field = words
    .slice(1)
    .map((word, i) => (i === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1)))
    .join('')
  const shapes: Record<string, unknown> = configSchema.shape
  const known = fieldNames(shapes[section])
  return known.includes(field) ? { section, field } : null
}

/** JSON where it parses, comma lists where it has commas, text otherwise. */
function parseScalar(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text.includes(',') ? text.split(',').map((part) => part.trim()) : text
  }
}
