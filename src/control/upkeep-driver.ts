/**
 * Keeps in the control group what nodes know by themselves: which software each runs, and, written
 * by the leader, which groups are there and which gossip keys. Looks at start, when leadership
 * comes, when its owner knows of something new, and from time to time; writes only what is missing
 * or has changed.
 */
import { DeadlineTimer } from '../core/deadline-timer.js'
import { after } from '../core/deadlines.js'
import { SkeinError } from '../core/errors.js'
import { compareText, type GroupId, type MonotonicMs, type NodeId } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Logger } from '../core/ports/logger.js'
import type { VersionRange } from '../core/versions.js'
import type { Control } from './control.js'
import type { ControlSection } from './section.js'
import {
  type ClusterVersionChange,
  clusterVersionSection,
  mayPropose,
  runtimeTextBytesMax,
  runtimeVersion
} from './sections/cluster-version.js'
import { isNewerRing, type KeyRingChange, keyRingSection } from './sections/key-ring.js'
import { adoptedGroupsMax, placementSection } from './sections/placement.js'

export interface UpkeepComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly control: Control
  /** Data groups that have a replica on this node. */
  hostedGroups(): readonly HostedGroup[]
  /** The own ring, once it has changed since the start. */
  keyRing(): KeyRingChange | null
}

export interface HostedGroup {
  readonly group: GroupId
  readonly voters: readonly NodeId[]
}

export interface UpkeepOptions {
  readonly nodeId: NodeId
  /** Of the package. */
  readonly software: string
  /** What the software runs on, in ASCII; what is too long of it is cut. */
  readonly runtime: string
  readonly versions: VersionRange
}

/** Between two looks, and between a failed one and the next. */
export const upkeepIntervalMs = 30_000
export const upkeepRetryMs = 1_000
const changeTimeoutMs = 5_000

export class UpkeepDriver {
  readonly #components: UpkeepComponents
  readonly #options: UpkeepOptions
  readonly #timer: DeadlineTimer
  #isLooking = false
  /** What has come since the look that goes on began is perhaps not seen by it. */
  #isLookWanted = false
  #isStopped = false

  constructor(components: UpkeepComponents, options: UpkeepOptions) {
    this.#components = components
    this.#options = options
    this.#timer = new DeadlineTimer(components.clock, () => this.#look())
    components.control.onLeadership((leads) => {
      if (leads) this.lookSoon()
    })
  }

  start(): void {
    this.lookSoon()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer.stop()
  }

  /** Something that it keeps may have changed. */
  lookSoon(): void {
    if (this.#isLooking) this.#isLookWanted = true
    else if (!this.#isStopped) this.#armIn(0)
  }

  #armIn(ms: number): void {
    this.#timer.arm(after(this.#components.clock.now(), ms))
  }

  #look(): void {
    this.#isLooking = true
    this.#isLookWanted = false
    this.#keep().then(
      () => this.#lookAgainIn(this.#isLookWanted ? 0 : upkeepIntervalMs),
      (error: unknown) => {
        const { logger } = this.#components
        if (error instanceof SkeinError) {
          logger.debug({ error }, 'the control group could not be told; trying again')
        } else logger.error({ error }, 'the upkeep of the control group met a defect')
        this.#lookAgainIn(upkeepRetryMs)
      }
    )
  }

  #lookAgainIn(ms: number): void {
    this.#isLooking = false
    if (!this.#isStopped) this.#armIn(ms)
  }

  async #keep(): Promise<void> {
    await this.#reportVersion()
    if (!this.#components.control.isLeader) return
    await this.#adoptGroups()
    await this.#recordKeys()
  }

  async #reportVersion(): Promise<void> {
    const { control, logger } = this.#components
    const { nodeId: node, software, versions } = this.#options
    const runtime = this.#options.runtime.slice(0, runtimeTextBytesMax)
    const state = await this.#stateOf(clusterVersionSection)
    const known = state.nodes.find((one) => one.node === node)
    const { min, max } = versions
    const isSame = known?.min === min && known.max === max && known.software === software
    const mayDescribe = max >= runtimeVersion && mayPropose(state, runtimeVersion)
    const told = state.runtimes?.find((one) => one.node === node)?.runtime
    if (isSame && (told === runtime || !mayDescribe)) return
    const said = { node, min, max, software }
    const change: ClusterVersionChange = mayDescribe
      ? { kind: 'describe', ...said, runtime }
      : { kind: 'report', ...said }
    const answer = await control.change(clusterVersionSection, change, this.#soon())
    if (answer.refusal === null) return
    logger.error(
      { ...answer, software, min, max },
      'this software does not fit the cluster version'
    )
  }

  async #adoptGroups(): Promise<void> {
    const { control, hostedGroups } = this.#components
    const { groups } = await this.#stateOf(placementSection)
    const known = new Set(groups.map(({ group }) => group))
    const missing = hostedGroups()
      .filter(({ group }) => !known.has(group))
      .map(({ group, voters }) => ({ group, voters: [...voters].sort(compareText), leader: null }))
      .sort((a, b) => a.group - b.group)
    for (let i = 0; i < missing.length; i += adoptedGroupsMax) {
      const change = { kind: 'adopt', groups: missing.slice(i, i + adoptedGroupsMax) } as const
      await control.change(placementSection, change, this.#soon())
    }
  }

  async #recordKeys(): Promise<void> {
    const { control, keyRing } = this.#components
    const own = keyRing()
    if (own === null) return
    const { ring } = await this.#stateOf(keyRingSection)
    if (isNewerRing(own, ring)) await control.change(keyRingSection, own, this.#soon())
  }

  /** What this node has applied is good enough: `apply` judges by the whole. */
  async #stateOf<State, Change, Answer>(
    section: ControlSection<State, Change, Answer>
  ): Promise<State> {
    const { control } = this.#components
    return control.local(section) ?? control.read(section, this.#soon().deadline)
  }

  #soon(): { readonly deadline: MonotonicMs } {
    return { deadline: after(this.#components.clock.now(), changeTimeoutMs) }
  }
}
