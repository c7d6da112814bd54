/**
 * Changes of members at the leader of a group: asks the newcomer to host a replica, has the group
 * change, and tells what became of it.
 *
 * 1. What fails before the group was asked to change says so, and may be asked again.
 * 2. A dry run asks the node who it is, and changes nothing, there or here.
 */
import {
  MemberChangeFailedError,
  NotAuthorizedError,
  NotFoundError,
  NotLeaderError
} from '../../core/errors.js'
import {
  type GroupId,
  type MonotonicMs,
  type NodeId,
  nodeOf,
  type ReplicaId
} from '../../core/ids.js'
import { type MemberChangeKind, MemberChangeKinds } from '../../core/member-changes.js'
import type { Messenger } from '../../core/ports/messenger.js'
import { factsOf, hasCode } from '../../core/remote-error.js'
import type { TypeOf } from '../../wire/codec.js'
import { membersOf } from '../configuration.js'
import type { ReplicaHello } from '../founding-driver.js'
import type { GroupDriver } from '../group/group-driver.js'
import { replicaHello, replicaInvite } from '../group/group-messages.js'
import type { MembersSeen } from './member-change-plan.js'
import { votersAfter } from './member-change-plan.js'

export type ReplicaInvitation = TypeOf<typeof replicaInvite.codec>

export interface MemberRequest {
  readonly group: GroupId
  readonly node: NodeId
  readonly change: MemberChangeKind
  readonly dryRun: boolean
}

export interface MemberRequestComponents {
  readonly messenger: Messenger
  groupOf(group: GroupId): GroupDriver | null
  hello(): ReplicaHello
  invitationTo(group: GroupId): ReplicaInvitation
}

export class MemberRequests {
  readonly #components: MemberRequestComponents

  constructor(components: MemberRequestComponents) {
    this.#components = components
  }

  /** @throws as `addNode`, `removeNode` */
  async handle(request: MemberRequest, deadline: MonotonicMs): Promise<MembersSeen> {
    const { change, dryRun, group: id, node } = request
    const group = this.#expectLed(id)
    if (dryRun) return this.#foresee(group, request, deadline)
    const votersBefore = group.status().voters
    const changed =
      change === MemberChangeKinds.Add
        ? await this.addNode(id, node, deadline)
        : await this.removeNode(id, node, deadline)
    const { voters } = group.status()
    return { group: id, votersBefore, voters, active: activeIn(group), changed }
  }

  /**
   * Again is harmless; a replica on an older storage of the node leaves. False: it votes already.
   * @throws as `GroupDriver.addReplica`; MemberChangeFailedError the node does not answer
   */
  async addNode(id: GroupId, node: NodeId, deadline: MonotonicMs): Promise<boolean> {
    const group = this.#expectLed(id)
    const invitation = this.#components.invitationTo(id)
    const { self } = await this.#ask(node, () =>
      this.#components.messenger.request(node, replicaInvite, invitation, { deadline })
    )
    const isVoter = group.raft.core.configuration.voters.includes(self)
    if (!isVoter) await group.addReplica(self, deadline)
    return !isVoter
  }

  /** False: it has no replica. @throws as `GroupDriver.removeNode` */
  async removeNode(id: GroupId, node: NodeId, deadline: MonotonicMs): Promise<boolean> {
    const group = this.#expectLed(id)
    if (!isMember(group, node)) return false
    await group.removeNode(node, deadline)
    return true
  }

  async #foresee(
    group: GroupDriver,
    { change, node }: MemberRequest,
    deadline: MonotonicMs
  ): Promise<MembersSeen> {
    const votersBefore = group.status().voters
    const voters = votersAfter(change, node, votersBefore)
    const seen = { group: group.group, votersBefore, voters }
    if (change === MemberChangeKinds.Remove) {
      return { ...seen, active: activeIn(group), changed: isMember(group, node) }
    }
    const { hello, messenger } = this.#components
    const { self } = await this.#ask(node, () =>
      messenger.request(node, replicaHello, hello(), { deadline })
    )
    const changed = !group.raft.core.configuration.voters.includes(self)
    return { ...seen, active: [...activeIn(group), node], changed }
  }

  /** What it answers speaks for itself alone. */
  async #ask<Answer extends { readonly self: ReplicaId }>(
    node: NodeId,
    ask: () => Promise<Answer>
  ): Promise<Answer> {
    const answer = await ask().catch((cause: unknown) => {
      throw silenceCodes.some((code) => hasCode(cause, code)) ? unreachable(node, cause) : cause
    })
    if (nodeOf(answer.self) === node) return answer
    throw new NotAuthorizedError(`${node} says it is ${answer.self}`)
  }

  #expectLed(id: GroupId): GroupDriver {
    const group = this.#components.groupOf(id)
    if (group === null) throw new NotFoundError(`group ${id} has no replica on this node`)
    if (group.isLeader) return group
    const { leader } = group.leadership()
    const hint = leader === null ? {} : { leaderHint: leader }
    throw new NotLeaderError('this node does not lead the group', hint)
  }
}

const isMember = (group: GroupDriver, node: NodeId): boolean =>
  membersOf(group.raft.core.configuration).some((replica) => nodeOf(replica) === node)

const activeIn = (group: GroupDriver): NodeId[] =>
  group.status().progress.flatMap(({ nodeId, active }) => (active ? [nodeId] : []))

const silenceCodes = [
  'ERR_SKEIN_NOT_SENT',
  'ERR_SKEIN_TIMEOUT',
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_UNKNOWN_NODE',
  'ERR_SKEIN_DIAL_FAILED'
] as const

const unreachable = (node: NodeId, cause: unknown): MemberChangeFailedError =>
  new MemberChangeFailedError(
    `${node} does not answer (${factsOf(cause).message}): start it, or see skein reachability`,
    { details: { reason: 'unreachable' }, nodeId: node, cause }
  )
