/**
 * False deaths under distressed members, after the published experiment (Lifeguard, arXiv
 * 1707.00788 section V): some members block before they send and after they receive, for a while,
 * work for a moment, block again, all at once. A death is false when the member declared dead was
 * well.
 */
import type { Config, NodeId } from '../../core/index.js'
import { shuffle } from '../../core/splittable-random.js'
import { type SwarmMember, SwimSwarm } from './swim-swarm.js'

type MembershipConfig = Config['membership']

export interface Distress {
  /** Members that stand still at once. */
  readonly count: number
  readonly stillMs: number
  /** Between two stand-stills. */
  readonly workingMs: number
}

export interface Variant {
  readonly name: string
  readonly config: Partial<MembershipConfig>
  /** The published figures, in percent of SWIM; null where none are. */
  readonly paper: VariantShares | null
}

export interface VariantShares {
  readonly falseDeaths: number
  readonly falseDeathsAtHealthy: number
  readonly messages: number
  readonly bytes: number
}

/** The experiment's α, β and timers; nothing of Lifeguard. */
const plainSwim: Partial<MembershipConfig> = {
  probeIntervalMs: 1_000,
  probeTimeoutMs: 500,
  suspicionMult: 5,
  suspicionFloorMs: 0,
  suspicionMaxTimeoutMult: 1,
  localHealthScoreMax: 0,
  buddySystem: false,
  loopLagAware: false,
  mutualProbes: false
}
const probe = { localHealthScoreMax: 7 }
const suspicion = { suspicionMaxTimeoutMult: 6 }
const buddy = { buddySystem: true }

const shares = (
  falseDeaths: number,
  falseDeathsAtHealthy: number,
  messages: number,
  bytes: number
): VariantShares => ({ falseDeaths, falseDeathsAtHealthy, messages, bytes })

export const variants: readonly Variant[] = [
  { name: 'SWIM', config: plainSwim, paper: shares(100, 100, 100, 100) },
  {
    name: 'LHA-Probe',
    config: { ...plainSwim, ...probe },
    paper: shares(67.72, 32.88, 98.46, 90.03)
  },
  {
    name: 'LHA-Suspicion',
    config: { ...plainSwim, ...suspicion },
    paper: shares(3, 6.71, 111.31, 106.52)
  },
  {
    name: 'Buddy System',
    config: { ...plainSwim, ...buddy },
    paper: shares(94.08, 44.57, 100.07, 99.01)
  },
  {
    name: 'Lifeguard',
    config: { ...plainSwim, ...probe, ...suspicion, ...buddy },
    paper: shares(1.53, 1.89, 110.59, 97.97)
  },
  {
    name: 'Lifeguard and loop lag',
    config: { ...plainSwim, ...probe, ...suspicion, ...buddy, loopLagAware: true },
    paper: null
  },
  {
    name: 'everything',
    config: {
      ...plainSwim,
      ...probe,
      ...suspicion,
      ...buddy,
      loopLagAware: true,
      mutualProbes: true
    },
    paper: null
  }
]

export interface FalseDeaths {
  falseDeaths: number
  /** Declared by members that were well themselves. */
  falseDeathsAtHealthy: number
  datagrams: number
  bytes: number
}

/** One run of the experiment. */
export function runDistress(
  members: number,
  config: MembershipConfig,
  distress: Distress,
  options: { readonly seed: number; readonly durationMs: number }
): FalseDeaths {
  const distressed = new Set<NodeId>()
  const found = { falseDeaths: 0, falseDeathsAtHealthy: 0, datagrams: 0, bytes: 0 }
  const swarm = new SwimSwarm(
    { members, seed: options.seed, config, delayMinMs: 0.2, delayMaxMs: 1, lossShare: 0 },
    (viewer, event) => {
      if (event.type !== 'MemberDied' || distressed.has(event.member.nodeId)) return
      found.falseDeaths++
      if (!distressed.has(viewer.nodeId)) found.falseDeathsAtHealthy++
    }
  )
  swarm.run(config.probeIntervalMs * 5)
  const chosen = shuffle(swarm.random, [...swarm.members]).slice(0, distress.count)
  for (const { nodeId } of chosen) distressed.add(nodeId)
  const before = { datagrams: swarm.datagrams, bytes: swarm.bytes }
  standStillAgainAndAgain(swarm, chosen, distress, swarm.now + options.durationMs)
  found.datagrams = swarm.datagrams - before.datagrams
  found.bytes = swarm.bytes - before.bytes
  return found
}

function standStillAgainAndAgain(
  swarm: SwimSwarm,
  chosen: readonly SwarmMember[],
  { stillMs, workingMs }: Distress,
  until: number
): void {
  while (swarm.now < until) {
    for (const member of chosen) swarm.block(member)
    swarm.run(Math.min(stillMs, until - swarm.now))
    for (const member of chosen) swarm.release(member)
    swarm.run(Math.max(0, Math.min(workingMs, until - swarm.now)))
  }
}
