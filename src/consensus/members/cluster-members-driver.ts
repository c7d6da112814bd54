/**
 * A node comes into every group of the cluster, or leaves all: each group's leader is asked, here
 * or one hop away, and asked again as long as nothing was changed by it.
 *
 * 1. The answer says that every group has changed; an error names the groups that have not, and
 *    the same call again brings about what is left.
 * 2. Whatever is asked twice is done once: who votes already is not added.
 */
import { after } from '../../core/deadlines.js'
import {
  CancelledError,
  IndeterminateError,
  InvalidArgumentError,
  MemberChangeFailedError,
  NoLeaderError,
  StoppedError,
  UnknownNodeError
} from '../../core/errors.js'
import { DEFAULT_GROUP, type GroupId, type MonotonicMs, type NodeId } from '../../core/ids.js'
import {
  type GroupMemberChange,
  type MemberChangeKind,
  MemberChangeKinds,
  type MemberChangeOptions,
  type MemberChangeReport
} from '../../core/member-changes.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Messenger } from '../../core/ports/messenger.js'
import { factsOf } from '../../core/remote-error.js'
import type { ReplicaHello } from '../founding-driver.js'
import { memberChange, replicaHello } from '../group/group-messages.js'
import { isNothingChanged, isOutcomeUnknown } from './member-change-errors.js'
import { describeChange, type MembersSeen } from './member-change-plan.js'
import type { MemberRequest } from './member-requests-driver.js'

/** What is known of groups and nodes beyond this node's own replicas. */
export interface ClusterKnowledge {
  /** Groups of the cluster that were heard of. */
  groups(): readonly GroupId[]
  leaderOf(group: GroupId): NodeId | null
  /** Asks other members; null when that was done just now. */
  refresh(): Promise<void> | null
  isMember(node: NodeId): boolean
  /** It is well, and takes work. */
  mayLead(node: NodeId): boolean
}

/** Of a node that knows of nothing but its own replicas: everybody is a member, and well. */
export function ownKnowledge(own: {
  groups(): readonly { readonly group: GroupId }[]
  leaderOf(group: GroupId): NodeId | null
}): ClusterKnowledge {
  return {
    groups: () => own.groups().map(({ group }) => group),
    leaderOf: (group) => own.leaderOf(group),
    refresh: () => null,
    isMember: () => true,
    mayLead: () => true
  }
}

export interface ClusterMembersComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly knowledge: ClusterKnowledge
  /** Of the founding that this node has pledged itself to; null: it hosts nothing. */
  foundedGroups(): readonly GroupId[] | null
  hello(): ReplicaHello
  /** Of a group that this node leads. */
  readonly requests: {
    handle(request: MemberRequest, deadline: MonotonicMs): Promise<MembersSeen>
  }
}

/** For all groups together, where the caller names no time. */
export const memberChangeTimeoutMs = 60_000
/** Groups that change at the same time; the others wait for their turn. */
export const changingGroupsMax = 8
/** Before a leader is asked again. */
export const memberChangePauseMs = 100

interface Call extends Pick<MemberRequest, 'node' | 'change' | 'dryRun'> {
  readonly deadline: MonotonicMs
  readonly signal: AbortSignal | undefined
}

type Outcome = { readonly seen: MembersSeen } | { readonly error: unknown }

export class ClusterMembers {
  readonly #self: NodeId
  readonly #components: ClusterMembersComponents
  #isStopped = false

  constructor(components: ClusterMembersComponents, options: { readonly nodeId: NodeId }) {
    this.#components = components
    this.#self = options.nodeId
  }

  /**
   * @throws UnknownNodeError it is to be added and is no member of the cluster
   * @throws CancelledError by the signal
   * @throws IndeterminateError of some group it is not known whether it has changed
   * @throws MemberChangeFailedError some groups stay as they are; with one group, its own error
   */
  async change(
    change: MemberChangeKind,
    node: NodeId,
    options: MemberChangeOptions
  ): Promise<MemberChangeReport> {
    const { clock, knowledge } = this.#components
    const { dryRun = false, signal, timeoutMs = memberChangeTimeoutMs } = options
    if (!(Number.isFinite(timeoutMs) && timeoutMs > 0)) {
      throw new InvalidArgumentError('timeoutMs', 'must be a positive number')
    }
    if (change === MemberChangeKinds.Add && !knowledge.isMember(node)) {
      throw new UnknownNodeError(`${node} is no member: start it with a seed of this cluster first`)
    }
    const deadline = after(clock.now(), timeoutMs)
    const call: Call = { node, change, dryRun, deadline, signal }
    const outcomes = await this.#changeAll(await this.#allGroups(call), call)
    if (signal?.aborted) throw cancelled()
    return { nodeId: node, change, dryRun, groups: settledOf(outcomes, dryRun) }
  }

  stop(): void {
    this.#isStopped = true
  }

  /**
   * All of them, or a change would leave some as they are: a node without a replica asks one that
   * leads, for what it has heard of groups by chance may be a part.
   */
  async #allGroups(call: Call): Promise<readonly GroupId[]> {
    const own = this.#components.foundedGroups()
    if (own !== null) return own
    for (;;) {
      const { groups, failure } = await this.#askGroups(call)
      if (groups !== null) return groups
      await this.#beforeAgain(call, failure)
    }
  }

  async #askGroups({ deadline }: Call): Promise<{
    readonly groups: readonly GroupId[] | null
    readonly failure: unknown
  }> {
    const { hello, knowledge, messenger } = this.#components
    let failure: unknown = new NoLeaderError('no group of the cluster is known yet')
    for (const group of knowledge.groups()) {
      const leader = knowledge.leaderOf(group)
      if (leader === null || leader === this.#self) continue
      try {
        const { founded, groups } = await messenger.request(leader, replicaHello, hello(), {
          deadline
        })
        if (founded) return { groups: groups ?? [DEFAULT_GROUP], failure: null }
      } catch (error) {
        failure = error
      }
    }
    return { groups: null, failure }
  }

  async #changeAll(groups: readonly GroupId[], call: Call): Promise<Map<GroupId, Outcome>> {
    const outcomes = new Map<GroupId, Outcome>()
    const waiting = [...groups]
    const work = async () => {
      for (let group = waiting.shift(); group !== undefined; group = waiting.shift()) {
        outcomes.set(group, await this.#changeOne(group, call))
      }
    }
    await Promise.all(Array.from({ length: Math.min(changingGroupsMax, groups.length) }, work))
    return new Map([...outcomes].sort(([a], [b]) => a - b))
  }

  async #changeOne(group: GroupId, call: Call): Promise<Outcome> {
    let hint: NodeId | null = null
    for (;;) {
      try {
        return { seen: await this.#askLeader(group, hint, call) }
      } catch (error) {
        if (!isNothingChanged(error)) return { error }
        hint = factsOf(error).leaderHint ?? null
        try {
          await this.#beforeAgain(call, error)
        } catch (final) {
          return { error: final }
        }
      }
    }
  }

  async #askLeader(group: GroupId, hint: NodeId | null, call: Call): Promise<MembersSeen> {
    const { knowledge, messenger, requests } = this.#components
    const { change, deadline, dryRun, node, signal } = call
    const leader = hint ?? knowledge.leaderOf(group)
    if (leader === null) throw new NoLeaderError(`group ${group} has no leader that is known here`)
    const request = { group, node, change, dryRun }
    if (leader === this.#self) return abortable(requests.handle(request, deadline), signal)
    const options = signal === undefined ? { deadline } : { deadline, signal }
    const answer = await messenger.request(leader, memberChange, request, options)
    return { group, ...answer }
  }

  /** @throws `failure` where there is no time for another attempt; CancelledError, StoppedError */
  async #beforeAgain({ deadline, signal }: Call, failure: unknown): Promise<void> {
    const { clock, knowledge } = this.#components
    if (this.#isStopped) throw new StoppedError('this node is stopping')
    if (signal?.aborted) throw cancelled()
    const at = after(clock.now(), memberChangePauseMs)
    if (at >= deadline) throw failure
    const paused = new Promise<void>((resolve) => clock.schedule(at, resolve))
    await abortable(Promise.all([paused, knowledge.refresh()]), signal)
  }
}

/** @throws the error of a single group, or one for all that have failed */
function settledOf(
  outcomes: ReadonlyMap<GroupId, Outcome>,
  isDryRun: boolean
): GroupMemberChange[] {
  const done: GroupMemberChange[] = []
  const failures: { group: GroupId; error: unknown }[] = []
  for (const [group, outcome] of outcomes) {
    if ('error' in outcome) failures.push({ group, error: outcome.error })
    else done.push(describeChange(outcome.seen, isDryRun))
  }
  const [first] = failures
  if (first === undefined) return done
  if (outcomes.size === 1) throw first.error
  const lines = failures.map(({ group, error }) => {
    const { code, message } = factsOf(error)
    return `group ${group}: ${code}: ${message}`
  })
  const told = `${failures.length} of ${outcomes.size} groups: ${lines[0]}`
  const details = { groups: lines, groupsDone: done.length }
  const cause = first.error
  if (failures.some(({ error }) => isOutcomeUnknown(error))) {
    const message = `whether they have changed is not known of ${told}; the same call again tells`
    throw new IndeterminateError(message, { details, cause })
  }
  throw new MemberChangeFailedError(
    `the members stay as they are in ${told}; the same call again goes on with these`,
    { details, cause }
  )
}

/** Rejects when the caller gives up; what was begun goes on. */
function abortable<T>(begun: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return begun
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(cancelled())
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    begun.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

const cancelled = () =>
  new CancelledError('given up by the caller; what was begun may still be brought to its end')
