/** How long a death goes unnoticed, and what the detector costs at rest. */
import { type Config, must, type NodeId } from '../../core/index.js'
import { probeMs, suspicionMinMs } from '../../network/membership/formulas.js'
import { type SwarmMember, SwimSwarm } from './swim-swarm.js'

export interface Detection {
  readonly members: number
  readonly deaths: number
  /** From the crash to the first suspicion, verdict, and to the last member that knows. */
  readonly suspectedMs: readonly number[]
  readonly declaredMs: readonly number[]
  readonly knownEverywhereMs: readonly number[]
  /** Verdicts about members that were well. */
  readonly falseDeaths: number
  readonly datagramsPerMemberSecond: number
  readonly bytesPerMemberSecond: number
  readonly formulas: DetectionFormulas
}

export interface DetectionFormulas {
  /** A probe interval on average until somebody asks, and the duration of a probe. */
  readonly suspectedMs: number
  /** The least suspicion on top. */
  readonly declaredMs: number
  /** Sent: a ping and an answer per interval. */
  readonly datagramsPerMemberSecond: number
}

const settleMs = 5_000
const restMs = 30_000
/** After this a death counts as unnoticed. */
const patienceMs = 120_000
/** More would change the cluster's size too much. */
const deadShareMax = 0.1

export function measureDetection(
  members: number,
  config: Config['membership'],
  options: { readonly deaths: number; readonly seed: number; readonly lossShare: number }
): Detection {
  const suspectedMs: number[] = []
  const declaredMs: number[] = []
  const knownEverywhereMs: number[] = []
  const traffic: Traffic[] = []
  let falseDeaths = 0
  for (let seed = options.seed; knownEverywhereMs.length < options.deaths; seed++) {
    const swarm = new Watched(members, config, seed, options.lossShare)
    if (traffic.length === 0) traffic.push(swarm.rest())
    const share = Math.max(1, Math.floor(members * deadShareMax))
    for (let i = 0; i < share && knownEverywhereMs.length < options.deaths; i++) {
      const death = swarm.crashOne()
      suspectedMs.push(death.suspectedMs)
      declaredMs.push(death.declaredMs)
      knownEverywhereMs.push(death.knownEverywhereMs)
    }
    falseDeaths += swarm.falseDeaths
  }
  return {
    members,
    deaths: options.deaths,
    suspectedMs,
    declaredMs,
    knownEverywhereMs,
    falseDeaths,
    ...must(traffic[0], 'traffic at rest'),
    formulas: formulasFor(members, config)
  }
}

type Traffic = Pick<Detection, 'datagramsPerMemberSecond' | 'bytesPerMemberSecond'>

function formulasFor(members: number, config: Config['membership']): DetectionFormulas {
  const { probeIntervalMs } = config
  const suspectedMs = probeIntervalMs + probeMs(config)
  return {
    suspectedMs,
    declaredMs: suspectedMs + suspicionMinMs(config, members),
    datagramsPerMemberSecond: 2 * (1_000 / probeIntervalMs)
  }
}

/** A swarm whose deaths are timed. */
class Watched {
  falseDeaths = 0
  readonly #swarm: SwimSwarm
  readonly #dead = new Set<NodeId>()
  #suspectedAt: number | null = null
  #declaredAt: number | null = null
  #lastKnownAt = 0
  #knownBy = 0

  constructor(members: number, config: Config['membership'], seed: number, lossShare: number) {
    this.#swarm = new SwimSwarm(
      { members, seed, config, delayMinMs: 0.2, delayMaxMs: 1, lossShare },
      (_, event, at) => {
        if (event.type === 'MemberSuspected') {
          if (this.#dead.has(event.member.nodeId)) this.#suspectedAt ??= at
        } else if (event.type === 'MemberDied') this.#onDied(event.member.nodeId, at)
      }
    )
    this.#swarm.run(settleMs)
  }

  rest(): Traffic {
    const { datagrams, bytes } = this.#swarm
    this.#swarm.run(restMs)
    const memberSeconds = (this.#swarm.members.length * restMs) / 1_000
    return {
      datagramsPerMemberSecond: (this.#swarm.datagrams - datagrams) / memberSeconds,
      bytesPerMemberSecond: (this.#swarm.bytes - bytes) / memberSeconds
    }
  }

  crashOne(): Record<'suspectedMs' | 'declaredMs' | 'knownEverywhereMs', number> {
    const swarm = this.#swarm
    const alive = swarm.members.filter(({ isRunning }) => isRunning)
    // At any point of the others' probe intervals.
    swarm.run(swarm.random.nextFloat() * 2_000)
    const victim = alive[swarm.random.nextInt(alive.length)] as SwarmMember
    swarm.crash(victim)
    this.#dead.add(victim.nodeId)
    this.#suspectedAt = null
    this.#declaredAt = null
    this.#knownBy = 0
    const crashedAt = swarm.now
    while (this.#knownBy < alive.length - 1 && swarm.now - crashedAt < patienceMs) swarm.run(50)
    const since = (at: number | null): number => (at === null ? Infinity : at - crashedAt)
    const isKnown = this.#knownBy === alive.length - 1
    swarm.run(settleMs)
    return {
      suspectedMs: since(this.#suspectedAt),
      declaredMs: since(this.#declaredAt),
      knownEverywhereMs: since(isKnown ? this.#lastKnownAt : null)
    }
  }

  #onDied(nodeId: NodeId, at: number): void {
    if (!this.#dead.has(nodeId)) {
      this.falseDeaths++
      return
    }
    this.#declaredAt ??= at
    this.#lastKnownAt = at
    this.#knownBy++
  }
}
