import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import {
  type Config,
  InvalidConfigError,
  type PresetName,
  presetNames,
  resolveConfig
} from '../core/index.js'
import { strategyFaults } from '../routing/index.js'
import { usageError } from './exit-codes.js'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * A YAML or JSON file, then `SKEIN_SECTION_FIELD` variables. `preset` at the top of the file, or
 * SKEIN_PRESET, names the preset below both.
 *
 * @throws CliError the file cannot be read or parsed
 * @throws InvalidConfigError with every fault at once
 */
export async function readConfig(file: string, environment: Environment): Promise<Config> {
  const content = await parseFile(file)
  const { preset: fromFile, ...fields } = content
  const { SKEIN_PRESET, ...variables } = environment
  const preset = SKEIN_PRESET ?? fromFile
  if (preset !== undefined && !isPreset(preset)) {
    const message = `must be one of ${presetNames.join(', ')}`
    throw new InvalidConfigError([{ path: 'preset', message }])
  }
  return resolveConfig({
    file: fields,
    environment: fieldVariables(variables),
    roomFaults: ({ routing }) => strategyFaults(routing),
    ...(preset === undefined ? {} : { preset })
  })
}

/** Variables of the command line's own options are none of the configuration's. */
const ownVariables: ReadonlySet<string> = new Set([
  'SKEIN_ADMIN_URL',
  'SKEIN_TOKEN_FILE',
  'SKEIN_CA_FILE',
  'SKEIN_CERT_FILE',
  'SKEIN_KEY_FILE',
  'SKEIN_SUPERVISED',
  'SKEIN_LOG_LEVEL'
])

const fieldVariables = (environment: Environment): Environment =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !ownVariables.has(name)))

async function parseFile(file: string): Promise<Record<string, unknown>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw usageError(`--config: ${(cause as Error).message}`)
  }
  let content: unknown
  try {
    // JSON is YAML too.
    content = parse(text)
  } catch (cause) {
    throw usageError(`${file}: ${(cause as Error).message}`)
  }
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) {
    return content as Record<string, unknown>
  }
  throw usageError(`${file}: must hold a mapping of sections`)
}

const isPreset = (name: unknown): name is PresetName =>
  typeof name === 'string' && (presetNames as readonly string[]).includes(name)
