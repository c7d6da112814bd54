/** Presets are diffs of the defaults, which are those of a local network (`lan`). */
import type { ConfigInput } from './schema.js'

export const presetNames = ['local', 'lan', 'wan'] as const
export type PresetName = (typeof presetNames)[number]

type Preset = Partial<Pick<ConfigInput, 'membership' | 'transport' | 'consensus'>>

export const presets: Readonly<Record<PresetName, Preset>> = {
  /** One machine: round trips in tens of microseconds, so everything may be quick. */
  local: {
    membership: {
      probeIntervalMs: 200,
      probeTimeoutMs: 100,
      suspicionFloorMs: 0,
      gossipIntervalMs: 50
    },
    consensus: { heartbeatIntervalMs: 50, electionTimeoutMinMs: 150, electionTimeoutMaxMs: 300 }
  },
  lan: {},
  /** Between regions: round trips up to 300 ms. */
  wan: {
    membership: {
      probeIntervalMs: 5_000,
      probeTimeoutMs: 2_500,
      suspicionMult: 6,
      gossipIntervalMs: 500
    },
    transport: { dialTimeoutMs: 10_000, handshakeTimeoutMs: 10_000, idleTimeoutMs: 15_000 },
    consensus: {
      heartbeatIntervalMs: 500,
      electionTimeoutMinMs: 2_500,
      electionTimeoutMaxMs: 5_000
    }
  }
}
