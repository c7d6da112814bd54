/**
 * What one seed runs: every probability, delay and rate is drawn from it, and each kind of fault is
 * switched off in some seeds, so that no two seeds weigh the faults alike. A fault that is always
 * there hides what only shows without it.
 */
import type { Random } from '../core/index.js'
import type { LinkOptions } from './links.js'
import { type DrawnBounds, drawBounds } from './narrow-bounds.js'

export interface EventRate {
  /** Mean of the exponential wait between two; null: never. */
  readonly meanIntervalMs: number | null
  readonly lengthMsMin: number
  readonly lengthMsMax: number
}

export interface SwarmOptions {
  readonly preset: 'local' | 'lan'
  readonly link: LinkOptions
  readonly disk: {
    readonly writeLatencyMs: readonly [number, number]
    readonly syncLatencyMs: readonly [number, number]
    /** How many machines have a disk whose syncs take `slowFactor` times as long. */
    readonly slowDisks: number
    readonly slowFactor: number
    readonly sectorBytes: number
  }
  /** Virtual time before the first fault. */
  readonly calmMs: number
  readonly crash: EventRate & {
    /** The machine loses power; otherwise only the process dies. */
    readonly powerProbability: number
    /** It happens while a disk is busy with a sync. */
    readonly duringSyncProbability: number
    /** It strikes a leader that has just committed, and so is about to acknowledge. */
    readonly afterCommitProbability: number
    /** Several at once, up to all. */
    readonly manyProbability: number
    /** A majority at the very same moment, whatever the victim was waiting for. */
    readonly majorityProbability: number
  }
  readonly pause: EventRate
  readonly partition: EventRate
  readonly oneWay: EventRate
  /** One blow after another against whoever leads, quicker than a term gets anything done. */
  readonly leaderHunt: EventRate
  /** Nodes are clogged one by one and freed in another order. */
  readonly swizzle: EventRate
  /** Streams of a cut link are lost for good instead of held. */
  readonly lostStreamProbability: number
  /** A leader is the victim, when there is one. */
  readonly leaderProbability: number
  readonly skew: {
    /** Clocks run at 1/x to x of the world's. */
    readonly rateMax: number
    readonly wallOffsetMsMax: number
    readonly meanIntervalMs: number | null
  }
  readonly workload: {
    readonly clients: number
    readonly keys: number
    readonly thinkMsMean: number
    readonly readShare: number
    /** Share of operations that are brought to a node that believes to lead. */
    readonly leaderShare: number
    /** Share of writes that the node which is asked numbers itself. */
    readonly unnumberedShare: number
    /** Programs that embed no node, beside those clients that call a node directly. */
    readonly outsideClients: number
    /** Operations on a key before a fresh one takes its place. */
    readonly operationsPerKey: number
  }
  readonly mail: {
    /** Between messages that some node sends another; null: none are sent. */
    readonly meanIntervalMs: number | null
    readonly orderedShare: number
    /** Share of fillers that get smaller when they are compressed. */
    readonly compressibleShare: number
  }
  readonly transport: {
    readonly compressionThresholdBytes: number
  }
  readonly security: SecurityOptions
  readonly log: LogOptions
  /** Null: what is simulated has no control group. */
  readonly control: ControlOptions | null
  readonly members: MemberOptions
  readonly groups: GroupOptions
  /** Null: there is one group, or what is simulated has no transactions. */
  readonly transactions: TransactionOptions | null
  /** Null: programs open no sessions. */
  readonly sessions: SessionOptions | null
  readonly planned: PlannedOptions
  readonly leases: LeaseOptions
  /** Bounds of the configuration that are tiny. */
  readonly bounds: DrawnBounds
}

export interface LeaseOptions {
  /** Linearizable reads at leaders ask nobody while a lease lasts. */
  readonly isOn: boolean
  /** What clocks keep to, whatever the skew: the fastest one beside the slowest. */
  readonly clockRatioMax: number
}

export interface TransactionOptions {
  /** That ask nodes themselves; programs outside ask as well. */
  readonly clients: number
  readonly accounts: number
  readonly lists: number
  readonly thinkMsMean: number
  /** Share of changes of lists after which one of them is read at once, alone. */
  readonly lookBackShare: number
  /** Share of transactions that are given less time than a new leader takes. */
  readonly impatientShare: number
}

export interface SessionOptions {
  readonly thinkMsMean: number
  /** Share of appends after which the list is read at once. */
  readonly lookBackShare: number
}

export interface PlannedOptions {
  /** Between two drains of nodes or moves of sessions; null: there are none. */
  readonly meanIntervalMs: number | null
  readonly drainShare: number
  readonly drainedMsMax: number
}

export interface MemberOptions {
  /** Nodes that found the cluster, the first ones; null: all. */
  readonly founders: number | null
  /** Between two changes of members; null: they stay. */
  readonly meanIntervalMs: number | null
  /** Of the changes: a node gets another disk, and comes in with an empty replica. */
  readonly replaceShare: number
}

export interface GroupOptions {
  readonly count: number
  readonly quiesceAfterMs: number
  readonly leaderBalanceIntervalMs: number
}

export interface ControlOptions {
  /** Between two calls of the control group; null: there are none but the nodes' own. */
  readonly meanIntervalMs: number | null
  readonly readShare: number
}

export interface LogOptions {
  /** Entries of a log before it is compacted; null: as in production, so never in a short run. */
  readonly entriesMax: number | null
  readonly tailShare: number
  /** Snapshots are larger by so much, so that they travel in several parts. */
  readonly snapshotPaddingBytes: number
}

export interface SecurityOptions {
  /** Between two deeds of the operator's; null: there are none. */
  readonly meanIntervalMs: number | null
  /** Of the deeds: a certificate is taken back, and a new one given later. */
  readonly revokeShare: number
  /** Of the deeds: a step of a change of gossip keys. The rest renew certificates. */
  readonly rotateShare: number
  readonly linkAgeMaxMs: number
  readonly compareIntervalMs: number
}

export function drawSwarmOptions(random: Random, nodes: number): SwarmOptions {
  const draw = new Draw(random)
  const groups = drawGroups(new Draw(random.split('groups')))
  const isLan = draw.chance(0.5)
  const drawn: Omit<SwarmOptions, 'leases'> = {
    preset: isLan ? 'lan' : 'local',
    link: drawLink(draw),
    disk: {
      writeLatencyMs: [0, draw.between(0, 0.2)],
      syncLatencyMs: [draw.between(0.05, 1), draw.between(1, draw.chance(0.3) ? 60 : 5)],
      slowDisks: draw.chance(0.3) ? 1 + draw.integer(2) : 0,
      slowFactor: draw.between(2, 30),
      sectorBytes: draw.chance(0.5) ? 512 : 64
    },
    calmMs: draw.chance(0.15) ? 0 : 2_000,
    crash: {
      ...draw.rate(0.8, [1_500, 10_000], [50, 4_000]),
      powerProbability: draw.chance(0.8) ? draw.between(0.3, 1) : 0,
      duringSyncProbability: draw.between(0, 1),
      afterCommitProbability: draw.chance(0.5) ? draw.between(0, 1) : 0,
      manyProbability: draw.chance(0.5) ? draw.between(0, 0.4) : 0,
      majorityProbability: draw.chance(0.4) ? draw.between(0, 0.5) : 0
    },
    pause: draw.rate(0.6, [2_000, 12_000], [100, 3_000]),
    partition: draw.rate(0.7, [2_000, 10_000], [300, 6_000]),
    oneWay: draw.rate(0.5, [2_000, 12_000], [300, 5_000]),
    leaderHunt: draw.rate(0.35, [400, 2_500], [100, 2_000]),
    swizzle: draw.rate(0.25, [4_000, 12_000], [500, 4_000]),
    lostStreamProbability: draw.chance(0.5) ? draw.between(0, 1) : 0,
    leaderProbability: draw.between(0, 0.8),
    skew: {
      rateMax: draw.chance(0.6) ? draw.between(1, draw.chance(0.2) ? 1.5 : 1.05) : 1,
      wallOffsetMsMax: draw.chance(0.6) ? 10 ** draw.between(1, 6.5) : 0,
      meanIntervalMs: draw.chance(0.5) ? draw.between(2_000, 10_000) : null
    },
    workload: {
      clients: 2 + draw.integer(5),
      keys: 1 + draw.integer(4),
      thinkMsMean: draw.between(15, 120),
      readShare: draw.between(0.2, 0.7),
      leaderShare: draw.chance(0.6) ? draw.between(0, 0.6) : 0,
      operationsPerKey: 50 + draw.integer(200),
      outsideClients: 1 + draw.integer(4),
      unnumberedShare: draw.chance(0.7) ? draw.between(0, 0.5) : 0
    },
    mail: {
      meanIntervalMs: draw.chance(0.8) ? draw.between(30, 300) : null,
      orderedShare: draw.between(0, 1),
      compressibleShare: draw.between(0, 1)
    },
    transport: {
      compressionThresholdBytes: draw.chance(0.5) ? 1 + draw.integer(3_000) : 8_192
    },
    security: drawSecurity(draw),
    log: drawLog(draw),
    control: {
      meanIntervalMs: draw.chance(0.7) ? draw.between(150, 2_000) : null,
      readShare: draw.between(0.1, 0.5)
    },
    members: drawMembers(new Draw(random.split('members')), nodes),
    groups,
    transactions:
      groups.count > 1 ? drawTransactions(new Draw(random.split('transactions'))) : null,
    sessions: drawSessions(new Draw(random.split('sessions'))),
    planned: drawPlanned(new Draw(random.split('planned'))),
    bounds: drawBounds(random.split('bounds'))
  }
  const isOn = new Draw(random.split('leases')).chance(0.5)
  return { ...drawn, leases: { isOn, clockRatioMax: drawn.skew.rateMax ** 2 } }
}

function drawTransactions(draw: Draw): TransactionOptions {
  return {
    clients: 2 + draw.integer(4),
    accounts: 2 + draw.integer(8),
    lists: 2 + draw.integer(4),
    thinkMsMean: draw.between(10, 150),
    lookBackShare: draw.chance(0.8) ? draw.between(0.2, 1) : 0,
    impatientShare: draw.chance(0.7) ? draw.between(0.1, 0.6) : 0
  }
}

function drawSessions(draw: Draw): SessionOptions | null {
  if (!draw.chance(0.6)) return null
  return {
    thinkMsMean: draw.between(40, 300),
    lookBackShare: draw.chance(0.8) ? draw.between(0.2, 1) : 0
  }
}

function drawPlanned(draw: Draw): PlannedOptions {
  const isOn = draw.chance(0.6)
  const meanIntervalMs = draw.between(500, 5_000)
  return {
    meanIntervalMs: isOn ? meanIntervalMs : null,
    drainShare: draw.between(0.1, 0.6),
    drainedMsMax: draw.between(300, 4_000)
  }
}

/** From three to all and back, in a third of the seeds. */
function drawMembers(draw: Draw, nodes: number): MemberOptions {
  const isBusy = nodes >= 3 && draw.chance(0.35)
  return {
    founders: isBusy ? 3 : null,
    meanIntervalMs: isBusy ? draw.between(300, 3_000) : null,
    replaceShare: draw.chance(0.5) ? draw.between(0, 0.4) : 0
  }
}

function drawGroups(draw: Draw): GroupOptions {
  return {
    count: draw.chance(0.5) ? 3 + draw.integer(2) : 1,
    quiesceAfterMs: Math.round(draw.between(100, 1_500)),
    leaderBalanceIntervalMs: draw.chance(0.7) ? Math.round(draw.between(300, 4_000)) : 0
  }
}

/** In some seeds logs are short, so that whoever was away needs a snapshot. */
function drawLog(draw: Draw): LogOptions {
  const isShort = draw.chance(0.5)
  const entriesMax = 16 + draw.integer(150)
  const tailShare = draw.between(0, 0.6)
  const snapshotPaddingBytes = draw.chance(0.5) ? draw.integer(600_000) : 0
  return { entriesMax: isShort ? entriesMax : null, tailShare, snapshotPaddingBytes }
}

function drawSecurity(draw: Draw): SecurityOptions {
  const isBusy = draw.chance(0.4)
  return {
    meanIntervalMs: isBusy ? draw.between(300, 3_000) : null,
    revokeShare: draw.chance(0.6) ? draw.between(0, 0.4) : 0,
    rotateShare: draw.between(0.2, 0.6),
    linkAgeMaxMs: draw.chance(0.4) ? Math.round(draw.between(2_000, 20_000)) : 0,
    compareIntervalMs: Math.round(draw.between(1_000, isBusy ? 6_000 : 30_000))
  }
}

/** What a run can do without, to tell what a failure needs. */
export const troubles = [
  'crash',
  'pause',
  'partition',
  'one_way',
  'leader_hunt',
  'swizzle',
  'skew',
  'loss',
  'duplicate',
  'reorder',
  'delay',
  'split',
  'break',
  'operator',
  'mail',
  'members',
  'compaction',
  'control',
  'transactions',
  'sessions',
  'planned',
  'leases',
  'bounds'
] as const
export type Trouble = (typeof troubles)[number]

export function withoutTroubles(swarm: SwarmOptions, left: readonly Trouble[]): SwarmOptions {
  const isOut = (trouble: Trouble) => left.includes(trouble)
  const rate = <T extends object>(trouble: Trouble, of: T): T =>
    isOut(trouble) ? { ...of, meanIntervalMs: null } : of
  const share = (trouble: Trouble, of: number) => (isOut(trouble) ? 0 : of)
  const { link, skew } = swarm
  return {
    ...swarm,
    crash: rate('crash', swarm.crash),
    pause: rate('pause', swarm.pause),
    partition: rate('partition', swarm.partition),
    oneWay: rate('one_way', swarm.oneWay),
    leaderHunt: rate('leader_hunt', swarm.leaderHunt),
    swizzle: rate('swizzle', swarm.swizzle),
    skew: isOut('skew') ? { rateMax: 1, wallOffsetMsMax: 0, meanIntervalMs: null } : skew,
    security: rate('operator', swarm.security),
    mail: rate('mail', swarm.mail),
    members: rate(
      'members',
      isOut('members') ? { ...swarm.members, founders: null } : swarm.members
    ),
    log: isOut('compaction') ? { ...swarm.log, entriesMax: null } : swarm.log,
    transactions: isOut('transactions') ? null : swarm.transactions,
    sessions: isOut('sessions') ? null : swarm.sessions,
    planned: rate('planned', swarm.planned),
    leases: isOut('leases') ? { ...swarm.leases, isOn: false } : swarm.leases,
    bounds: isOut('bounds') ? {} : swarm.bounds,
    control: swarm.control === null ? null : rate('control', swarm.control),
    link: {
      ...link,
      lossProbability: share('loss', link.lossProbability),
      duplicateProbability: share('duplicate', link.duplicateProbability),
      reorderProbability: share('reorder', link.reorderProbability),
      delayProbability: share('delay', link.delayProbability),
      splitProbability: share('split', link.splitProbability),
      breakProbability: share('break', link.breakProbability)
    }
  }
}

function drawLink(draw: Draw): LinkOptions {
  return {
    latencyMinMs: draw.between(0.05, 1),
    latencyMeanMs: draw.between(0.1, draw.chance(0.3) ? 15 : 3),
    lossProbability: draw.chance(0.7) ? draw.between(0, draw.chance(0.2) ? 0.3 : 0.05) : 0,
    duplicateProbability: draw.chance(0.6) ? draw.between(0, 0.3) : 0,
    reorderProbability: draw.chance(0.6) ? draw.between(0, 0.3) : 0,
    delayProbability: draw.chance(0.6) ? draw.between(0, 0.05) : 0,
    delaySpikeMsMax: draw.between(10, 400),
    splitProbability: draw.chance(0.5) ? draw.between(0, 0.3) : 0,
    breakProbability: draw.chance(0.5) ? draw.between(0, 0.002) : 0
  }
}

class Draw {
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  chance(probability: number): boolean {
    return this.#random.nextFloat() < probability
  }

  between(low: number, high: number): number {
    return low + this.#random.nextFloat() * (high - low)
  }

  integer(boundExclusive: number): number {
    return this.#random.nextInt(boundExclusive)
  }

  rate(
    probability: number,
    interval: readonly [number, number],
    length: readonly [number, number]
  ): EventRate {
    const isOn = this.chance(probability)
    const mean = this.between(interval[0], interval[1])
    const longest = this.between(length[0], length[1])
    return {
      meanIntervalMs: isOn ? mean : null,
      lengthMsMin: length[0],
      lengthMsMax: Math.max(length[0], longest)
    }
  }
}
