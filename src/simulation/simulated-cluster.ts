/**
 * A whole cluster on virtual time: machines with clocks and disks that outlive their processes,
 * and on each a process that runs the real facade over simulated ports. A crash abandons the
 * process: its ports go dead, so nothing of it ever runs again, and a new one starts on the same
 * disk.
 */
import {
  type Address,
  type Clock,
  type Compression,
  type ConfigInput,
  type Crypto,
  type Logger,
  type NodeId,
  type Random,
  type ReplicaObserver,
  toNodeId,
  type VersionRange
} from '../core/index.js'
import { InlineWorkers } from '../runtime/index.js'
import { type ArmedCrash, CrashMoments, type FaultTarget } from './fault-scheduler.js'
import { addFeatures, addMetrics, type FeatureCounts, noFeatures } from './feature-counts.js'
import { hostName } from './host-name.js'
import { kvEngineProvider } from './kv-engine.js'
import { mailDeclarations } from './mail-letter.js'
import type { CreateManager, SimulatedManager } from './manager.js'
import { narrowConfigOf } from './narrow-bounds.js'
import {
  type CertificateFile,
  type SimulatedAuthority,
  SimulatedCredentials
} from './simulated-credentials.js'
import { simulatedCrypto } from './simulated-crypto.js'
import type { SimulatedDatagramWorld } from './simulated-datagram-network.js'
import { SimulatedDisk } from './simulated-disk.js'
import type { SimulatedStreamWorld } from './simulated-stream-network.js'
import type { SwarmOptions } from './swarm-options.js'
import { type SyncCount, withSyncCount } from './sync-count.js'
import {
  MachineClock,
  NodeClock,
  type ProcessExit,
  ProcessExits,
  SimulatedProcess,
  type VirtualTime
} from './virtual-clock.js'

export interface ClusterComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly streams: SimulatedStreamWorld
  readonly datagrams: SimulatedDatagramWorld
  readonly crypto: Crypto
  readonly compression: Compression
  readonly create: CreateManager
  readonly loggerOf: (node: NodeId) => Logger
  readonly watch: ClusterWatch
  readonly mail: { attach(process: SimulatedProcess, manager: SimulatedManager): void }
  readonly authority: SimulatedAuthority
}

/** Told of everything that the invariants need and the facade does not show. */
export interface ClusterWatch {
  onStarted(host: number): void
  onStartFailed(host: number, error: unknown): void
  onExit(host: number, exit: ProcessExit): void
  /** A process has opened a sealed datagram that it had opened before. */
  onOpenedTwice(process: SimulatedProcess): void
  observerOf(process: SimulatedProcess): ReplicaObserver
  isLeader(host: number): boolean
  /** What a leader has committed; zero when it does not lead. */
  ledCommitIndex(host: number): number
}

export interface ClusterOptions {
  readonly size: number
  readonly swarm: SwarmOptions
  /** What the software speaks that is installed there; absent: all that it can. */
  readonly versionsAt?: (host: number) => VersionRange
}

/** One life of a node. */
export interface RunningNode {
  readonly process: SimulatedProcess
  readonly manager: SimulatedManager
  isStarted: boolean
}

interface Machine {
  readonly host: number
  readonly nodeId: NodeId
  readonly clock: MachineClock
  readonly disk: SimulatedDisk
  readonly file: CertificateFile
  lives: number
  process: SimulatedProcess | null
  node: RunningNode | null
  syncs: SyncCount
  /** A crash that waits for its moment. */
  armed: { readonly crash: ArmedCrash; eventsLeft: number; readonly ledBefore: number } | null
}

export const clusterName = 'simulated'
/** So small that whole segments are deleted in a short run. */
const smallSegmentBytes = 64 * 1024
/** Datagrams are sealed as in production. */
const gossipKey = new Uint8Array(32).fill(7)

export class SimulatedCluster implements FaultTarget {
  readonly size: number
  readonly #components: ClusterComponents
  readonly #options: ClusterOptions
  readonly #machines: Machine[]
  readonly #pastFeatures = noFeatures()

  constructor(components: ClusterComponents, options: ClusterOptions) {
    this.size = options.size
    this.#components = components
    this.#options = options
    this.#machines = Array.from({ length: options.size }, (_, host) => this.#buildMachine(host))
  }

  start(): void {
    for (const { host } of this.#machines) this.restart(host)
  }

  nodeIdOf(host: number): NodeId {
    return this.#machine(host).nodeId
  }

  nodeIds(): NodeId[] {
    return this.#machines.map(({ nodeId }) => nodeId)
  }

  addresses(): Address[] {
    return this.nodeIds().map(addressOf)
  }

  /** The certificate that lies on a machine; its node finds a new one when it looks. */
  fileOf(host: number): CertificateFile {
    return this.#machine(host).file
  }

  /** Null while the machine is down or its node has not begun to start. */
  nodeAt(host: number): RunningNode | null {
    return this.#machine(host).node
  }

  /** Nodes that take queries. */
  startedNodes(): RunningNode[] {
    return this.#machines.flatMap(({ node }) => (node?.isStarted ? [node] : []))
  }

  /** Of every life of every node so far. */
  features(): FeatureCounts {
    const sum = noFeatures()
    addFeatures(sum, this.#pastFeatures)
    for (const { manager } of this.startedNodes()) addMetrics(sum, manager.getAllMetrics())
    return sum
  }

  diskFaults(): { torn_write: number; unsynced_loss: number } {
    const sum = { torn_write: 0, unsynced_loss: 0 }
    for (const { disk } of this.#machines) {
      sum.torn_write += disk.faults.torn_write
      sum.unsynced_loss += disk.faults.unsynced_loss
    }
    return sum
  }

  leaders(): readonly number[] {
    const hosts = this.#machines.map(({ host }) => host)
    return hosts.filter((host) => this.#components.watch.isLeader(host))
  }

  isUp(host: number): boolean {
    return this.#machine(host).process !== null
  }

  isPaused(host: number): boolean {
    return this.#machine(host).process?.paused ?? false
  }

  crash(host: number, exit: ProcessExit): void {
    const machine = this.#machine(host)
    if (machine.process === null) return
    if (machine.node?.isStarted) {
      addMetrics(this.#pastFeatures, machine.node.manager.getAllMetrics())
    }
    machine.process.exit(exit)
    machine.process = null
    machine.node = null
    machine.armed = null
    this.#components.watch.onExit(host, exit)
    if (exit === ProcessExits.Power) {
      machine.disk.crash(this.#components.random.split(`crash ${host} ${machine.lives}`))
    } else {
      machine.disk.kill()
    }
  }

  /** What is replicated is gone, and with it who this replica was; the rest of the node stays. */
  replaceDisk(host: number): void {
    this.crash(host, ProcessExits.Killed)
    this.#machine(host).disk.wipe(replicatedFiles)
  }

  armCrash(host: number, crash: ArmedCrash): void {
    const ledBefore = this.#components.watch.ledCommitIndex(host)
    this.#machine(host).armed = { crash, eventsLeft: crash.eventsLeft, ledBefore }
  }

  disarm(host: number): void {
    this.#machine(host).armed = null
  }

  /** After each event of a process: the moment for a crash that waited for it. True: it crashed. */
  maybeCrash(process: SimulatedProcess): boolean {
    const machine = this.#machine(process.host)
    const { armed } = machine
    if (armed === null || machine.process !== process || !this.#isMoment(machine)) return false
    if (armed.eventsLeft-- > 0) return false
    const { exit, others } = armed.crash
    for (const host of [process.host, ...others]) this.crash(host, exit)
    return true
  }

  #isMoment({ host, armed, syncs }: Machine): boolean {
    if (armed?.crash.moment === CrashMoments.Sync) return syncs.inFlight > 0
    return this.#components.watch.ledCommitIndex(host) > (armed?.ledBefore ?? 0)
  }

  restart(host: number): void {
    const machine = this.#machine(host)
    const process = new SimulatedProcess(machine.nodeId, host, machine.lives++)
    machine.process = process
    const { time } = this.#components
    time.post(time.now, 'start', process, () => this.#boot(machine, process))
  }

  pause(host: number): void {
    const { process } = this.#machine(host)
    if (process !== null) this.#components.time.pause(process)
  }

  resume(host: number): void {
    const { process } = this.#machine(host)
    if (process !== null) this.#components.time.resume(process)
  }

  setClockRate(host: number, rate: number): void {
    this.#machine(host).clock.setRate(rate)
  }

  setWallOffset(host: number, ms: number): void {
    this.#machine(host).clock.setWallOffset(ms)
  }

  #boot(machine: Machine, process: SimulatedProcess): void {
    const { watch } = this.#components
    try {
      const manager = this.#createManager(machine, process)
      this.#components.mail.attach(process, manager)
      const node: RunningNode = { process, manager, isStarted: false }
      machine.node = node
      manager.start().then(
        () => {
          node.isStarted = true
          watch.onStarted(machine.host)
        },
        (error: unknown) => watch.onStartFailed(machine.host, error)
      )
    } catch (error) {
      watch.onStartFailed(machine.host, error)
    }
  }

  #createManager(machine: Machine, process: SimulatedProcess): SimulatedManager {
    const { time, random, streams, datagrams, crypto, create, loggerOf, watch } = this.#components
    const { compression } = this.#components
    const { host, nodeId, disk, file } = machine
    const clock = new NodeClock(time, machine.clock, process)
    const ofLife = random.split(`node ${host} ${process.incarnation}`)
    const identity = { kind: 'node', nodeId, clusterName } as const
    const { swarm, versionsAt } = this.#options
    const { snapshotPaddingBytes } = swarm.log
    const engine = kvEngineProvider(() => disk.mount(), { snapshotPaddingBytes })
    const trust = new SimulatedCredentials(this.#components.authority, file)
    machine.syncs = { inFlight: 0 }
    return create({
      config: this.#configOf(nodeId),
      preset: swarm.preset,
      engine,
      messages: mailDeclarations,
      ...(versionsAt === undefined ? {} : { versions: versionsAt(host) }),
      overrides: {
        clock,
        random: ofLife.split('random'),
        crypto: simulatedCrypto(crypto, ofLife.split('crypto'), () => watch.onOpenedTwice(process)),
        compression,
        logger: loggerOf(nodeId),
        streams: streams.networkOf({ process, clock, hostName: nodeId, identity, trust }),
        datagrams: datagrams.networkOf(process),
        workers: new InlineWorkers(),
        disk: withSyncCount(disk.mount(), machine.syncs),
        observer: watch.observerOf(process),
        tracer: null,
        credentials: trust,
        gossipKeys: [gossipKey]
      }
    })
  }

  #configOf(nodeId: NodeId): ConfigInput {
    const ids = this.nodeIds()
    const { bounds, groups, leases, log, members, security, transport } = this.#options.swarm
    const narrow = narrowConfigOf(bounds)
    const { quiesceAfterMs, leaderBalanceIntervalMs } = groups
    return {
      node: { id: nodeId, listenAddress: addressOf(nodeId), dataDirectory: '/simulated' },
      cluster: {
        name: clusterName,
        seeds: ids.filter((id) => id !== nodeId).map(addressOf),
        bootstrap: { voters: ids.slice(0, members.founders ?? ids.length) },
        groups: groups.count
      },
      consensus: {
        quiesceAfterMs,
        leaderBalanceIntervalMs,
        leaseReads: leases.isOn,
        leaseClockRatioMax: leases.clockRatioMax,
        ...(log.entriesMax === null
          ? {}
          : {
              logEntriesMax: log.entriesMax,
              logTailShare: log.tailShare,
              logSegmentBytes: smallSegmentBytes
            }),
        ...narrow.consensus
      },
      membership: { ...narrow.membership },
      routing: { ...narrow.routing },
      transport: { ...transport, ...narrow.transport },
      security: {
        insecure: true,
        linkAgeMaxMs: security.linkAgeMaxMs,
        compareIntervalMs: security.compareIntervalMs
      }
    }
  }

  #buildMachine(host: number): Machine {
    const { time, random } = this.#components
    const ofMachine = random.split(`machine ${host}`)
    const machine: Machine = {
      host,
      nodeId: toNodeId(hostName(host)),
      clock: new MachineClock(time, Math.floor(ofMachine.nextFloat() * 1e6)),
      disk: new SimulatedDisk(
        { clock: clockOfPresentProcess(time, () => machine), random: ofMachine.split('disk') },
        this.#diskOptions(host)
      ),
      file: { certificate: this.#components.authority.issue() },
      lives: 0,
      process: null,
      node: null,
      syncs: { inFlight: 0 },
      armed: null
    }
    return machine
  }

  /**
   * Hosts differ in nothing else, so the last ones may be the slow ones. They are a minority: a
   * majority whose syncs outlast election timeouts elects nobody, and need not.
   */
  #diskOptions(host: number): SwarmOptions['disk'] {
    const { disk } = this.#options.swarm
    const slow = Math.min(disk.slowDisks, Math.floor((this.size - 1) / 2))
    if (host < this.size - slow) return disk
    const [min, max] = disk.syncLatencyMs
    return { ...disk, syncLatencyMs: [min * disk.slowFactor, max * disk.slowFactor] }
  }

  #machine(host: number): Machine {
    return this.#machines[host] as Machine
  }
}

/** Of the replicas and their identity. */
const replicatedFiles = /^(identity|log|kv|control)/

const addressOf = (nodeId: NodeId): Address => `${nodeId}:7946`

/** The disk's delays end in the process that waits for them: a crash or a pause concerns it. */
function clockOfPresentProcess(time: VirtualTime, machineOf: () => Machine): Clock {
  const present = (): Clock => {
    const { clock, process } = machineOf()
    return new NodeClock(time, clock, process ?? new SimulatedProcess('nobody', 0, 0))
  }
  return {
    now: () => present().now(),
    wallNow: () => present().wallNow(),
    schedule: (at, callback) => present().schedule(at, callback)
  }
}
