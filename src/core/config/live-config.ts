/** The configuration of a running node, of which some fields may change. */
import type { ClusterConfig } from '../cluster-config.js'
import { type ConfigFault, InvalidConfigError } from '../errors.js'
import { deepFreeze, fieldNames, isPlainObject } from './layers.js'
import { brokenRelations } from './relations.js'
import { type Config, configSchema, reloadable } from './schema.js'

export interface LiveConfigParts {
  /** The strategy may have been set by other means. */
  readonly strategy: () => string
  /** What the rooms have against it. */
  readonly faultsOf: (config: Config) => readonly ConfigFault[]
  /** Tells the rooms; must not throw for what has no faults. */
  readonly apply: (config: Config) => void
}

export class LiveConfig implements ClusterConfig {
  readonly reloadable: readonly string[] = reloadable
  readonly #parts: LiveConfigParts
  #config: Config

  constructor(config: Config, parts: LiveConfigParts) {
    this.#config = config
    this.#parts = parts
  }

  current(): Config {
    const { routing } = this.#config
    const strategy = this.#parts.strategy()
    if (strategy !== routing.strategy) {
      this.#config = deepFreeze({ ...this.#config, routing: { ...routing, strategy } })
    }
    return this.#config
  }

  change(changes: unknown): Config {
    const next = changedConfig(this.current(), changes, this.#parts.faultsOf)
    this.#parts.apply(next)
    this.#config = next
    return next
  }
}

/** More than there are; each of them may be a fault that is told. */
const changedFieldsMax = 256

/** @throws InvalidConfigError with every fault: of a field, of its value, of their relations */
function changedConfig(
  config: Config,
  changes: unknown,
  faultsOf: LiveConfigParts['faultsOf']
): Config {
  const given = fieldsOf(changes)
  if (given.length > changedFieldsMax) {
    const message = `at most ${changedFieldsMax} fields change at once`
    throw new InvalidConfigError([{ path: '(root)', message }])
  }
  const faults = given.flatMap(refusalOf)
  if (given.length === 0) faults.push({ path: '(root)', message: 'names no field to change' })
  const sections: Record<string, Record<string, unknown>> = {}
  for (const { section, field, value } of given) {
    if (!isReloadable(section, field)) continue
    const before = sections[section] ?? { ...config[section as keyof Config] }
    sections[section] = { ...before, [field]: value }
  }
  const parsed = configSchema.safeParse({ ...config, ...sections })
  const issues = parsed.success ? [] : parsed.error.issues
  for (const { path, message } of issues) faults.push({ path: path.join('.'), message })
  if (parsed.success) faults.push(...brokenRelations(parsed.data), ...faultsOf(parsed.data))
  if (!parsed.success || faults.length > 0) throw new InvalidConfigError(faults)
  return deepFreeze(parsed.data)
}

interface GivenField {
  readonly section: string
  /** Empty: the section itself was given something else than fields. */
  readonly field: string
  readonly value: unknown
}

function fieldsOf(changes: unknown): GivenField[] {
  if (!isPlainObject(changes)) return [{ section: '(root)', field: '', value: changes }]
  return Object.entries(changes).flatMap(([section, fields]) =>
    isPlainObject(fields)
      ? Object.entries(fields).map(([field, value]) => ({ section, field, value }))
      : [{ section, field: '', value: fields }]
  )
}

function refusalOf({ section, field }: GivenField): ConfigFault[] {
  if (isReloadable(section, field)) return []
  const path = field === '' ? section : `${section}.${field}`
  const shapes: Record<string, unknown> = configSchema.shape
  const isSection = section === '(root)' || Object.hasOwn(shapes, section)
  if (!isSection) return [{ path, message: 'names no configuration field' }]
  if (field === '') return [{ path, message: 'must be an object' }]
  const isKnown = fieldNames(shapes[section]).includes(field)
  const message = isKnown
    ? 'cannot change while the node runs: change its file and start it again'
    : 'names no configuration field'
  return [{ path, message }]
}

const isReloadable = (section: string, field: string): boolean =>
  (reloadable as readonly string[]).includes(`${section}.${field}`)
