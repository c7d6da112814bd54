/**
 * Whether two nodes can work together, told before one is taken in: every setting in which they
 * differ, with both values. Those that must agree refuse the join; the others are told in the log.
 * A setting that only one side knows is nobody's fault.
 */
import type { Config } from '../../core/config/schema.js'
import {
  commandSizeBytesMax,
  datagramSizeBytesMax,
  frameSizeBytesMax,
  messageSizeBytesMax
} from '../../core/limits.js'
import { crc32c } from '../../wire/crc32c.js'

/** Settings of one node, and each name and value in UTF-8. */
export const joinSettingsMax = 64
export const settingNameBytesMax = 63
export const settingValueBytesMax = 255

export interface JoinSetting {
  readonly name: string
  readonly value: string
}

/** In the order of their names. */
export interface JoinSettings {
  readonly mustAgree: readonly JoinSetting[]
  readonly mayDiffer: readonly JoinSetting[]
}

export interface JoinDifferences {
  /** `name: ours here, theirs there`. */
  readonly refused: readonly string[]
  readonly warned: readonly string[]
}

export function joinSettingsOf(config: Config): JoinSettings {
  const { membership, consensus, security, transport, routing } = config
  const limits = {
    frameSizeBytesMax,
    messageSizeBytesMax,
    commandSizeBytesMax,
    datagramSizeBytesMax
  }
  return {
    mustAgree: settings({
      consensus: pick(
        consensus,
        'heartbeatIntervalMs',
        'electionTimeoutMinMs',
        'electionTimeoutMaxMs'
      ),
      limits,
      membership: pick(
        membership,
        'probeIntervalMs',
        'probeTimeoutMs',
        'suspicionMult',
        'suspicionMaxTimeoutMult',
        'suspicionFloorMs',
        'splitStrategy',
        'splitQuorumSize'
      ),
      security: pick(security, 'insecure')
    }),
    mayDiffer: settings({
      consensus: pick(consensus, 'clientsMax', 'clientAnswersMax', 'uncommittedBytesMax'),
      membership: pick(
        membership,
        'gossipIntervalMs',
        'gossipFanout',
        'pushPullIntervalMs',
        'deadRetentionMs',
        'membersMax'
      ),
      routing: pick(routing, 'strategy', 'queryTimeoutMs'),
      transport: pick(transport, 'idleTimeoutMs', 'clockOffsetMaxMs')
    })
  }
}

/** Of what the other side must agree with; the same where nothing differs. */
export function joinDigest({ mustAgree, mayDiffer }: JoinSettings): number {
  const lines = [...mustAgree, ...mayDiffer].map(({ name, value }) => `${name}=${value}`)
  return crc32c(new TextEncoder().encode(lines.join('\n')))
}

/** What a node sends with its join: both kinds, since the other side judges by its own list. */
export const allSettings = ({ mustAgree, mayDiffer }: JoinSettings): readonly JoinSetting[] => [
  ...mustAgree,
  ...mayDiffer
]

export function differencesOf(ours: JoinSettings, theirs: readonly JoinSetting[]): JoinDifferences {
  const byName = new Map(theirs.map(({ name, value }) => [name, value]))
  const differing = (settings: readonly JoinSetting[]): string[] =>
    settings.flatMap(({ name, value }) => {
      const other = byName.get(name)
      return other === undefined || other === value
        ? []
        : [`${name}: ${value} here, ${other} there`]
    })
  return { refused: differing(ours.mustAgree), warned: differing(ours.mayDiffer) }
}

type Values = Readonly<Record<string, string | number | boolean | undefined>>

function settings(sections: Readonly<Record<string, Values>>): JoinSetting[] {
  const all = Object.entries(sections).flatMap(([section, values]) =>
    Object.entries(values).map(([field, value]) => ({
      name: `${section}.${field}`,
      value: String(value)
    }))
  )
  return all.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function pick<T extends object, K extends keyof T & string>(from: T, ...keys: K[]): Pick<T, K> {
  const picked: Partial<T> = {}
  for (const key of keys) picked[key] = from[key]
  return picked as Pick<T, K>
}
