import { type ClusterEventBody, viewsDisagree } from '../src/core/index.js'
import type { Rooms } from './composition.js'

/** What one room must know of another's doings, and what subscribers hear. */
export function subscribeRooms(rooms: Rooms, publish: (event: ClusterEventBody) => void): void {
  const statuses = () => rooms.consensus.groups().map((group) => group.status())
  const { transport, membership, consensus, queries, health, heartbeat, security } = rooms
  const { control } = rooms
  for (const room of [health, heartbeat, security, rooms.stateSync, rooms.sessions]) {
    room.onEvent(publish)
  }
  health.onEvent((event) => {
    if (event.type === 'HealthVerdictChanged') queries.handleVerdict(event.verdict)
  })
  transport.onEvent(publish)
  rooms.planned.restarts?.onEvent(publish)
  rooms.planned.failovers?.onEvent(publish)
  queries.onEvent(publish)
  membership.onEvent((event) => {
    publish(event)
    queries.handleMembersChanged()
    if (event.type === 'MemberJoined') queries.handleMemberJoined(event.member.nodeId)
    if (event.type === 'MemberLeft') queries.handleMemberGone(event.member.nodeId)
    if (event.type !== 'MemberDied') return
    queries.handleMemberGone(event.member.nodeId)
    const disagreement = viewsDisagree(event.member.nodeId, statuses())
    if (disagreement !== null) publish(disagreement)
  })
  consensus.onEvent((event) => {
    publish(event)
    control.driver.handleEvent(event)
    if (event.type === 'LeaderChanged') {
      queries.handleLeaderChanged(event)
      rooms.planned.failover?.handleLeaderChanged(event)
      control.learnShards()
    }
    // A group that is founded here later than the control group is placed as soon as it is there.
    if (event.type === 'ConfigurationChanged' && control.driver.isLeader) control.upkeep.lookSoon()
  })
  // A node without a replica knows of no quorum.
  consensus.onVotersChanged((voters) => membership.setVoters(voters))
  security.onEvent((event) => {
    if (event.type !== 'GossipKeysChanged') return
    control.keys.learn(event)
    control.upkeep.lookSoon()
  })
}
