/**
 * One seed: a cluster, clients, faults drawn from the seed, invariants after every event; then
 * heal, and everybody must find together and answer in time; then what the clients saw is judged.
 * The same seed gives the same trace, to the last byte.
 */
import type { HistoryEvent } from '../checkers/index.js'
import {
  type Compression,
  type Crypto,
  type Logger,
  type NodeId,
  type Random,
  resolveConfig,
  SplittableRandom,
  silentLogger
} from '../core/index.js'
import { type ControlCounts, ControlWorkload } from './control-workload.js'
import { DataSide } from './data-side.js'
import { type FaultCounts, noFaults } from './fault-counts.js'
import { FaultScheduler } from './fault-scheduler.js'
import type { FeatureCounts } from './feature-counts.js'
import { judgeHistory } from './history-judgement.js'
import { Links } from './links.js'
import { type MailComponents, type MailCounts, MailWorkload } from './mail-workload.js'
import type { CreateManager } from './manager.js'
import { MemberOperator } from './member-operator.js'
import { Operator } from './operator.js'
import { type ConnectClient, OutsideClient } from './outside-client.js'
import { runTurns } from './real-turns.js'
import { rememberingCompression, rememberingCrypto } from './remembered-work.js'
import { RunGuard } from './run-guard.js'
import { RunWatch } from './run-watch.js'
import { SimulatedCluster } from './simulated-cluster.js'
import { SimulatedAuthority } from './simulated-credentials.js'
import { SimulatedDatagramWorld } from './simulated-datagram-network.js'
import { SimulatedStreamWorld } from './simulated-stream-network.js'
import {
  drawSwarmOptions,
  type SwarmOptions,
  type Trouble,
  withoutTroubles
} from './swarm-options.js'
import { TraceHash } from './trace-hash.js'
import type { TransactionCounts } from './transaction-workload.js'
import { type Invariant, Invariants, type Violation, Violations } from './violations.js'
import { type VirtualEvent, VirtualTime } from './virtual-clock.js'
import { type OperationCounts, Workload } from './workload.js'

export interface SimulationComponents {
  readonly create: CreateManager
  /** Absent: every client calls a node itself. */
  readonly connect?: ConnectClient
  /** Real ciphers. */
  readonly crypto: Crypto
  /** The real one. */
  readonly compression: Compression
  /** What is run instead of what the seed drew. */
  readonly swarm?: (drawn: SwarmOptions) => SwarmOptions
  /** Told what happened, with virtual time: for reading a failed run. */
  readonly log?: (line: string) => void
}

export interface SimulationOptions {
  readonly nodes: number
  /** Virtual seconds with faults; heal and judgement come on top. */
  readonly seconds: number
  /** What the seed drew and is left out. */
  readonly without?: readonly Trouble[]
  /** Only these strikes of the fault scheduler happen, by their names; absent: all. */
  readonly strikes?: readonly string[]
}

export interface SimulationResult {
  readonly seed: number
  readonly ok: boolean
  readonly violations: readonly Violation[]
  /** Fingerprint of every event and effect, in order. */
  readonly hash: string
  readonly virtualMs: number
  readonly events: number
  readonly faults: FaultCounts
  readonly features: FeatureCounts
  readonly operations: OperationCounts
  readonly mail: MailCounts
  readonly control: ControlCounts
  readonly transactions: TransactionCounts
  /** Terms that had a leader. */
  readonly elections: number
  readonly committedIndex: number
  /** Virtual time from heal until everything was answered and equal. */
  readonly healedInMs: number | null
  readonly swarm: SwarmOptions
  /** Names of the strikes that were due. */
  readonly strikes: readonly string[]
  readonly history: readonly HistoryEvent[]
}

/** Turns of promises that one event may need; more mean that an await loop has no end. */
const turnsPerEventMax = 1_000_000
/** Events at one instant; more mean that somebody spins. */
const eventsPerInstantMax = 100_000
const pollMs = 50
/** In elections' longest timeouts: what a healed cluster may take to serve and agree. */
const healBudgetElections = 20

export async function simulate(
  seed: number,
  options: SimulationOptions,
  components: SimulationComponents
): Promise<SimulationResult> {
  const run = new Run(seed, options, components)
  const onUnhandled = (error: unknown) => run.reportUnhandled(error)
  process.on('unhandledRejection', onUnhandled)
  process.on('uncaughtException', onUnhandled)
  try {
    return await run.execute()
  } finally {
    process.off('unhandledRejection', onUnhandled)
    process.off('uncaughtException', onUnhandled)
  }
}

class Run {
  readonly #seed: number
  readonly #options: SimulationOptions
  readonly #swarm: SwarmOptions
  readonly #trace = new TraceHash()
  readonly #time = new VirtualTime(this.#trace)
  readonly #faults = noFaults()
  readonly #violations = new Violations(() => this.#time.now)
  readonly #guard: RunGuard
  readonly #watch: RunWatch
  readonly #cluster: SimulatedCluster
  readonly #scheduler: FaultScheduler
  readonly #workload: Workload
  readonly #data: DataSide
  readonly #mail: MailWorkload
  readonly #control: ControlWorkload
  readonly #operator: Operator
  readonly #members: MemberOperator
  readonly #log: (line: string) => void
  #events = 0
  #eventsAtInstant = 0
  #instant = 0
  #healedInMs: number | null = null

  constructor(seed: number, options: SimulationOptions, components: SimulationComponents) {
    this.#seed = seed
    this.#options = options
    const { log } = components
    this.#log = (line) => log?.(`${this.#time.now.toFixed(3).padStart(10)} ${line}`)
    this.#guard = this.#buildGuard(log !== undefined)
    const random = SplittableRandom.fromSeed(seed)
    const drawn = withoutTroubles(
      drawSwarmOptions(random.split('swarm'), options.nodes),
      options.without ?? []
    )
    this.#swarm = components.swarm?.(drawn) ?? drawn
    const time = this.#time
    const links = new Links(this.#swarm.link, random.split('links'), this.#faults)
    const streams = new SimulatedStreamWorld(time, links)
    const authority = new SimulatedAuthority()
    this.#watch = new RunWatch({
      size: options.nodes,
      violations: this.#violations,
      log: this.#log,
      onCrash: (host) => this.#scheduler.handleCrash(host),
      trust: { authority, openEnds: (process) => streams.openEnds(process) }
    })
    this.#mail = new MailWorkload(this.#workloadParts(random, 'mail'), this.#swarm.mail)
    this.#control = new ControlWorkload(this.#workloadParts(random, 'control'), this.#swarm.control)
    this.#cluster = new SimulatedCluster(
      {
        time,
        random: random.split('cluster'),
        streams,
        datagrams: new SimulatedDatagramWorld(time, links),
        crypto: rememberingCrypto(components.crypto),
        compression: rememberingCompression(components.compression),
        create: components.create,
        loggerOf: (node) => (log === undefined ? silentLogger : loggerTo(this.#log, node)),
        watch: this.#watch,
        mail: this.#mail,
        authority
      },
      { size: options.nodes, swarm: this.#swarm }
    )
    this.#watch.observe(this.#cluster)
    this.#operator = this.#buildOperator(authority, random.split('operator'))
    this.#members = this.#buildMembers(random.split('members'))
    this.#scheduler = this.#buildScheduler(links, random.split('faults'))
    const outside = this.#buildOutside(components, random.split('outside'), streams)
    this.#workload = new Workload(
      {
        time,
        random: random.split('workload'),
        cluster: this.#cluster,
        appliedIndex: (group) => this.#watch.appliedIndex(group),
        groups: this.#swarm.groups.count,
        violations: this.#violations,
        outside
      },
      this.#swarm.workload
    )
    const parts = this.#workloadParts(random, 'data')
    this.#data = new DataSide({ ...parts, outside: () => outside, log: this.#log }, this.#swarm)
  }

  #buildGuard(keepsStacks: boolean): RunGuard {
    return new RunGuard({
      turnsMax: turnsPerEventMax,
      onRealWorld: (what, stack) =>
        this.#violations.report(Invariants.RealWorld, `${what}: ${stack}`),
      keepsStacks
    })
  }

  #buildScheduler(links: Links, random: Random): FaultScheduler {
    return new FaultScheduler(
      {
        time: this.#time,
        random,
        links,
        faults: this.#faults,
        target: this.#cluster,
        log: this.#log,
        strikes: this.#options.strikes ?? null
      },
      this.#swarm
    )
  }

  #workloadParts(random: Random, name: string): MailComponents {
    const violations = this.#violations
    const cluster = () => this.#cluster
    return { time: this.#time, random: random.split(name), cluster, violations }
  }

  #buildOperator(authority: SimulatedAuthority, random: Random): Operator {
    return new Operator(
      {
        time: this.#time,
        random,
        cluster: () => this.#cluster,
        authority,
        violations: this.#violations,
        faults: this.#faults,
        log: this.#log
      },
      this.#swarm.security
    )
  }

  #buildMembers(random: Random): MemberOperator {
    return new MemberOperator(
      {
        time: this.#time,
        random,
        cluster: () => this.#cluster,
        violations: this.#violations,
        log: this.#log
      },
      { ...this.#swarm.members, nodes: this.#options.nodes }
    )
  }

  #buildOutside(
    { connect, crypto, log }: SimulationComponents,
    random: Random,
    streams: SimulatedStreamWorld
  ): OutsideClient[] {
    if (connect === undefined) return []
    const { outsideClients } = this.#swarm.workload
    return Array.from({ length: outsideClients }, (_, i) => {
      const name = `outside-${i}`
      return new OutsideClient(
        {
          time: this.#time,
          random: random.split(name),
          streams,
          crypto,
          connect,
          logger: log === undefined ? silentLogger : loggerTo(this.#log, name as NodeId)
        },
        { name, host: i % this.#options.nodes, addresses: this.#cluster.addresses() }
      )
    })
  }

  async execute(): Promise<SimulationResult> {
    this.#guard.install()
    try {
      await this.#execute()
    } catch (error) {
      this.reportUnhandled(error)
    } finally {
      this.#guard.remove()
    }
    return this.#result()
  }

  async #execute(): Promise<void> {
    this.#cluster.start()
    this.#workload.start()
    this.#mail.start()
    this.#control.start()
    this.#data.start()
    this.#time.post(this.#swarm.calmMs, 'faults', null, () => {
      this.#scheduler.start()
      this.#operator.start()
      this.#members.start()
      this.#data.planned.start()
    })
    await this.#until(this.#options.seconds * 1_000)
    if (!this.#violations.any) await this.#heal()
    if (!this.#violations.any) {
      judgeHistory(this.#workload.history, this.#violations)
      this.#data.transactions.judge()
    }
    this.#faults.torn_write = this.#cluster.diskFaults().torn_write
    this.#faults.unsynced_loss = this.#cluster.diskFaults().unsynced_loss
  }

  reportUnhandled(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#violations.report(Invariants.Unhandled, text)
  }

  /** Everything is repaired; the cluster has a bounded time to serve everybody and to agree. */
  async #heal(): Promise<void> {
    const healedAt = this.#time.now
    this.#log('everything is repaired')
    this.#time.post(healedAt, 'heal', null, () => {
      this.#scheduler.heal()
      this.#operator.finish()
      this.#members.finish()
      this.#data.planned.finish()
    })
    this.#workload.stop()
    this.#mail.stop()
    this.#control.stop()
    this.#data.stop()
    const { electionTimeoutMaxMs } = this.#electionConfig()
    const deadline = healedAt + healBudgetElections * electionTimeoutMaxMs
    await this.#untilIdle(deadline)
    await this.#untilNobodyDrains()
    this.#workload.readAll()
    this.#data.readAll()
    await this.#untilIdle(deadline + healBudgetElections * electionTimeoutMaxMs)
    await this.#untilAllAreMembers()
    await this.#untilConverged(healBudgetElections * electionTimeoutMaxMs)
    await this.#untilNothingIsInDoubt()
    if (this.#violations.any) return
    this.#healedInMs = this.#time.now - healedAt
    await this.#readControl()
    await this.#untilMembersAgree(healedAt)
  }

  async #untilIdle(deadline: number): Promise<void> {
    const open = () => this.#workload.open + this.#mail.open + this.#data.open
    while (!this.#violations.any && open() > 0) {
      if (this.#time.now >= deadline) {
        this.#violations.report(Invariants.Liveness, this.#describeUnanswered())
        return
      }
      await this.#until(this.#time.now + pollMs)
    }
  }

  /** Calls that were on their way when everything was repaired have to be given up first. */
  async #untilAllAreMembers(): Promise<void> {
    await this.#untilNone(Invariants.Liveness, () =>
      this.#members.missing().map((name) => `${name} is in no group, or not in all`)
    )
  }

  async #untilNobodyDrains(): Promise<void> {
    await this.#untilNone(Invariants.Liveness, () => {
      const { drained } = this.#data.planned
      return drained === null ? [] : [`${drained} still drains`]
    })
  }

  async #untilNothingIsInDoubt(): Promise<void> {
    await this.#untilNone(Invariants.NothingInDoubt, () => this.#data.transactions.unended())
  }

  async #untilNone(invariant: Invariant, left: () => readonly string[]): Promise<void> {
    const deadline = this.#time.now + membersHealMs
    while (!this.#violations.any && left().length > 0) {
      if (this.#time.now >= deadline) this.#violations.report(invariant, left().join('\n  '))
      else await this.#until(this.#time.now + pollMs)
    }
  }

  /** Every node writes what it has to record; then every node tells all that is recorded. */
  async #readControl(): Promise<void> {
    for (const isWhole of [false, true]) {
      for (const node of this.#cluster.startedNodes()) this.#control.readBack(node, isWhole)
      while (!this.#violations.any && this.#control.open > 0) {
        await this.#until(this.#time.now + pollMs)
      }
    }
  }

  /**
   * Who catches up by single messages, on a slow disk, may take long, as long as something moves:
   * `standstillMs` count from the last change, and there is an end to all changes.
   */
  async #untilConverged(standstillMs: number): Promise<void> {
    const endsAt = this.#time.now + membersHealMs
    let deadline = this.#time.now + standstillMs
    let differing = ''
    while (!this.#violations.any) {
      const states = await this.#checksums()
      if (states !== null && new Set(states).size === 1) return
      const before = differing
      differing = states?.join(' | ') ?? 'not every node answers'
      if (differing !== before) deadline = Math.min(this.#time.now + standstillMs, endsAt)
      if (this.#time.now >= deadline) {
        this.#violations.report(Invariants.Convergence, differing)
        return
      }
      await this.#until(this.#time.now + pollMs)
    }
  }

  /** `index hash` of each node; null while one is missing. */
  async #checksums(): Promise<string[] | null> {
    const nodes = this.#cluster.startedNodes()
    if (nodes.length < this.#cluster.size) return null
    const states: string[] = []
    for (const node of nodes) {
      this.#time.post(this.#time.now, 'checksum', node.process, () => {
        node.manager.checksums().then(
          (groups) => states.push(groups.map((g) => `${g.group}:${g.index}:${g.hash}`).join(',')),
          (error: unknown) => this.reportUnhandled(error)
        )
      })
    }
    await this.#until(this.#time.now + 1)
    return states.length === nodes.length ? states : null
  }

  /** Suspicion and refutation have their own pace: generous, but bounded. */
  async #untilMembersAgree(healedAt: number): Promise<void> {
    const deadline = healedAt + membershipHealMs
    const isFine = () =>
      this.#watch.deadMembers(this.#cluster).length + this.#operator.unsettled().length === 0
    while (!isFine() && this.#time.now < deadline && !this.#violations.any) {
      await this.#until(this.#time.now + 500)
    }
    for (const detail of this.#watch.deadMembers(this.#cluster)) {
      this.#violations.report(Invariants.NoFalseDeath, detail)
    }
    for (const detail of this.#operator.unsettled()) {
      this.#violations.report(Invariants.TrustSettles, detail)
    }
  }

  /** Runs events up to a time; each is drained, then judged. */
  async #until(time: number): Promise<void> {
    let event: VirtualEvent | null = null
    await runTurns(() => {
      if (event !== null) this.#judge(event)
      event = this.#runNext(time)
      return event !== null
    })
  }

  /** Runs events until one was of a process; null: none is left, or there is a violation. */
  #runNext(time: number): VirtualEvent | null {
    while (!this.#violations.any) {
      this.#guard.beginEvent()
      const event = this.#time.step(time)
      if (event === null) return null
      this.#events++
      if (event.process !== null) return event
    }
    return null
  }

  #judge({ label, process }: VirtualEvent): void {
    if (process === null) return
    if (this.#guard.isExhausted) {
      const detail = `${label} at ${process.name} needs more than ${turnsPerEventMax}`
      this.#violations.report(Invariants.DrainBudget, `${detail} turns of promises`)
      return
    }
    this.#watch.afterEvent(process)
    this.#cluster.maybeCrash(process)
    this.#checkProgress()
  }

  #checkProgress(): void {
    if (this.#time.now !== this.#instant) {
      this.#instant = this.#time.now
      this.#eventsAtInstant = 0
    }
    if (++this.#eventsAtInstant > eventsPerInstantMax) {
      this.#violations.report(Invariants.DrainBudget, `time stands still at ${this.#instant}`)
    }
  }

  #electionConfig() {
    const cluster = { seeds: ['a:1'] }
    const node = { id: 'a', dataDirectory: 'a' }
    const { preset } = this.#swarm
    return resolveConfig({ preset, code: { node, cluster, security: { insecure: true } } })
      .consensus
  }

  #describeUnanswered(): string {
    const answers = [...this.#workload.answers].map(([code, count]) => `${code} ${count}`)
    const letters = this.#mail.describeOpen()
    const others = `${this.#data.describeOpen()} and ${this.#mail.open} letters wait`
    const waiting = `${this.#workload.open} clients, ${others}`
    return `${waiting} (${letters}); answers so far: ${answers.join(', ')}`
  }

  #result(): SimulationResult {
    return {
      seed: this.#seed,
      ok: !this.#violations.any,
      violations: this.#violations.toArray(),
      hash: this.#trace.digest(),
      virtualMs: Math.round(this.#time.now),
      events: this.#events,
      faults: this.#faults,
      features: {
        ...this.#cluster.features(),
        metadata_changes: this.#mail.metadataChanges,
        ...this.#members.counts,
        ...this.#data.counts
      },
      operations: this.#workload.counts,
      mail: this.#mail.counts,
      control: this.#control.counts,
      transactions: this.#data.transactionCounts,
      elections: this.#watch.elections,
      committedIndex: this.#watch.committedIndex,
      healedInMs: this.#healedInMs === null ? null : Math.round(this.#healedInMs),
      swarm: this.#swarm,
      strikes: this.#scheduler.strikes,
      history: this.#workload.history
    }
  }
}

/** Virtual time in which every node of a healed cluster hosts every group again. */
const membersHealMs = 30_000
/** Virtual time in which a healed cluster takes back every accusation, and its trust is one. */
const membershipHealMs = 120_000

function loggerTo(log: (line: string) => void, node: NodeId): Logger {
  const write = (level: string) => (facts: object, message: string) =>
    log(`${node} ${level} ${message} ${JSON.stringify(facts, withErrors)}`)
  const logger: Logger = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: () => logger
  }
  return logger
}

/** An error's message and causes are what one reads a trace for, and JSON leaves them out. */
function withErrors(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const { name, message, cause } = value
  return cause === undefined ? { name, message } : { name, message, cause }
}
