/**
 * The operator of a simulated cluster, at work while faults strike: renews certificates, takes one
 * back and gives its node a new one later, and changes gossip keys by install, use and remove. What
 * a node answered to him holds: a list that was taken reaches all members in the end, and a change
 * of keys that he carries to its end leaves all with one key.
 */
import {
  type GossipKeyId,
  type GossipKeysReport,
  pick,
  type Random,
  type SecurityManager,
  SkeinError
} from '../core/index.js'
import type { FaultCounts } from './fault-counts.js'
import { hostName } from './host-name.js'
import type { RunningNode, SimulatedCluster } from './simulated-cluster.js'
import type { SimulatedAuthority } from './simulated-credentials.js'
import type { SecurityOptions } from './swarm-options.js'
import { Invariants, type Violations } from './violations.js'
import type { VirtualTime } from './virtual-clock.js'

export interface OperatorComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly cluster: () => SimulatedCluster
  readonly authority: SimulatedAuthority
  readonly violations: Violations
  readonly faults: FaultCounts
  readonly log: (line: string) => void
}

/** A call that was not answered by then is given up: its node crashed or stands still. */
const silenceMs = 15_000
const retryMs = 300
/** How long a node has to do without a certificate. */
const revokedMsMax = 5_000

interface Rotation {
  /** Null: not installed anywhere as far as the operator knows. */
  added: GossipKeyId | null
  isUsed: boolean
}

export class Operator {
  readonly #components: OperatorComponents
  readonly #options: SecurityOptions
  /** Hosts whose certificate was taken back. */
  readonly #revoked = new Set<number>()
  #rotation: Rotation | null = null
  /** The highest number of a list that a node has taken. */
  #listTaken = 0
  #isBusy = false
  #isFinishing = false
  #isDone = false

  constructor(components: OperatorComponents, options: SecurityOptions) {
    this.#components = components
    this.#options = options
  }

  start(): void {
    if (this.#options.meanIntervalMs !== null) this.#think(this.#options.meanIntervalMs)
    else this.#isDone = true
  }

  /** Every node has a certificate again, and what was begun is carried to its end. */
  finish(): void {
    this.#isFinishing = true
    for (const host of [...this.#revoked]) this.#renew(host)
    if (!this.#isDone) this.#carryOn()
  }

  /** What of his work has not come to its end on every node; empty: all has. */
  unsettled(): string[] {
    if (this.#options.meanIntervalMs === null) return []
    const behind = this.#components
      .cluster()
      .startedNodes()
      .filter(({ manager }) => listNumberOf(manager.security) < this.#listTaken)
      .map(({ process }) => `${process.name} has not heard of list ${this.#listTaken}`)
    const rotation = `the change of gossip keys: ${JSON.stringify(this.#rotation)}`
    return this.#isDone ? behind : [...behind, rotation]
  }

  #think(meanMs: number): void {
    const wait = -meanMs * Math.log(1 - this.#components.random.nextFloat())
    this.#later(wait, () => {
      if (this.#isFinishing) return
      this.#act()
      this.#think(meanMs)
    })
  }

  #act(): void {
    const { random, cluster } = this.#components
    const what = random.nextFloat()
    const { revokeShare, rotateShare } = this.#options
    const host = random.nextInt(cluster().size)
    if (what < revokeShare) this.#revoke(host)
    else if (what < revokeShare + rotateShare) this.#rotate()
    else if (!this.#revoked.has(host)) this.#renew(host)
  }

  /** The node finds it by itself, or is asked to look. */
  #renew(host: number): void {
    const { authority, cluster, random, log } = this.#components
    const certificate = authority.issue()
    cluster().fileOf(host).certificate = certificate
    this.#revoked.delete(host)
    log(`operator: ${hostName(host)} gets certificate ${certificate.serialNumber}`)
    const node = cluster().nodeAt(host)
    if (node?.isStarted && random.nextInt(2) === 0) {
      this.#ask(node, (security) => security.reloadCertificates(), nothing)
    }
  }

  /** A minority at most: without certificates a majority elects nobody, and need not. */
  #revoke(host: number): void {
    const { authority, cluster, faults, log, random } = this.#components
    const revokedMax = Math.floor((cluster().size - 1) / 2)
    if (this.#revoked.has(host) || this.#revoked.size >= revokedMax) return
    this.#revoked.add(host)
    faults.revocation++
    const { serialNumber } = cluster().fileOf(host).certificate
    authority.revoke([serialNumber])
    log(`fault: certificate ${serialNumber} of ${hostName(host)} is taken back`)
    this.#tellList()
    this.#later(random.nextFloat() * revokedMsMax, () => {
      if (this.#revoked.has(host)) this.#renew(host)
    })
  }

  /** Until some node has taken it. */
  #tellList(): void {
    const { authority } = this.#components
    const { listNumber } = authority
    const again = () => {
      if (this.#listTaken < authority.listNumber) this.#later(retryMs, () => this.#tellList())
    }
    const node = this.#someNode()
    if (node === null) {
      again()
      return
    }
    const list = authority.newestList()
    this.#ask(
      node,
      (security) => security.revoke(list),
      (report) => {
        if (report !== null) this.#listTaken = Math.max(this.#listTaken, listNumber)
        again()
      }
    )
  }

  /** One step; the same step again where it was refused. */
  #rotate(): void {
    const node = this.#someNode()
    if (node === null || this.#isBusy) return
    this.#isBusy = true
    this.#rotation ??= { added: null, isUsed: false }
    const rotation = this.#rotation
    this.#ask(
      node,
      (security) => this.#step(security, rotation),
      () => {
        this.#isBusy = false
      }
    )
  }

  async #step(security: SecurityManager, rotation: Rotation): Promise<void> {
    const { log } = this.#components
    const known = await security.listKeys()
    // A step that was given up may have been taken, wholly or by some.
    if (rotation.added === null) rotation.added = known.rotating
    else if (!known.keys.some(({ id }) => id === rotation.added)) rotation.added = null
    const { added } = rotation
    const primary = known.keys.find(({ isPrimary }) => isPrimary)?.id
    if (rotation.isUsed) {
      const old = known.keys.filter(({ id }) => id !== added)
      for (const { id } of old) await security.removeKey(id)
      // A member that was not reached has it from the others later; so much is certain.
      this.#rotation = null
      log(`operator: ${added} is the only gossip key`)
    } else if (added === null) {
      const report = await security.installKey({ rotates: true })
      rotation.added = report.rotating
      log(`operator: gossip key ${rotation.added} is installed`)
    } else if (primary === added) {
      rotation.isUsed = true
    } else {
      const report = await security.useKey(added)
      rotation.isUsed = report.primary === added
      log(`operator: gossip key ${added} is used`)
    }
  }

  #carryOn(): void {
    const { cluster } = this.#components
    if (this.#rotation === null && !this.#isBusy) {
      this.#confirm((isDone) => {
        this.#isDone = isDone
        if (!isDone) this.#later(retryMs, () => this.#carryOn())
      })
      return
    }
    if (cluster().startedNodes().length === cluster().size) this.#rotate()
    this.#later(retryMs, () => this.#carryOn())
  }

  /** All members have the same keys. */
  #confirm(then: (isDone: boolean) => void): void {
    const node = this.#someNode()
    if (node === null) {
      then(false)
      return
    }
    const { size } = this.#components.cluster()
    this.#ask(
      node,
      (security) => security.listKeys(),
      (report) => then(report !== null && isSettled(report, size))
    )
  }

  /**
   * One that knows every other: a node that has not joined yet is the majority of what it knows.
   */
  #someNode(): RunningNode | null {
    const { cluster, random } = this.#components
    const { size } = cluster()
    const nodes = cluster()
      .startedNodes()
      .filter(({ manager }) => manager.getClusterMembers().length === size)
    return nodes.length === 0 ? null : pick(random, nodes)
  }

  /** In a turn of the node's. Null: it did not do it, or the operator will never know. */
  #ask<T>(
    { process, manager }: RunningNode,
    call: (security: SecurityManager) => Promise<T>,
    then: (answer: T | null) => void
  ): void {
    const { time, violations } = this.#components
    let isOpen = true
    const settle = (answer: T | null) => {
      if (!isOpen) return
      isOpen = false
      then(answer)
    }
    this.#later(silenceMs, () => settle(null))
    process.onExit(() => settle(null))
    time.post(time.now, 'operator', process, () => {
      call(manager.security).then(settle, (error: unknown) => {
        if (!(error instanceof SkeinError)) violations.report(Invariants.Unhandled, String(error))
        settle(null)
      })
    })
  }

  #later(ms: number, run: () => void): void {
    const { time } = this.#components
    time.post(time.now + ms, 'operator', null, run)
  }
}

const nothing = (): void => {}

const listNumberOf = (security: SecurityManager): number =>
  Math.max(0, ...security.revocations().lists.map(({ number }) => number))

const isSettled = ({ keys, responses }: GossipKeysReport, size: number): boolean =>
  responses === size &&
  keys.every(({ installed, used, isPrimary }) =>
    isPrimary ? installed === size && used === size : installed === 0 || installed === size
  )
