import { z } from 'zod'
import { type ClusterManager, type MetricsSnapshot, NotFoundError } from '../../core/index.js'
import type { AuditTrail } from '../access/audit-trail.js'
import type { EventStreams } from '../event-streams.js'
import { exposition, expositionType } from '../exposition.js'
import type { Route } from '../route.js'
import {
  auditAnswer,
  checksumsAnswer,
  clusterAnswer,
  groupsAnswer,
  healthAnswer,
  memberAnswer,
  membersAnswer,
  metricsAnswer
} from './answers.js'
import { memberView } from './views.js'

const view = { method: 'GET', access: 'read', tag: 'cluster' } as const

export const viewRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...view,
    url: '/v1/cluster',
    about: 'Members and groups as this node sees them.',
    answer: clusterAnswer,
    handle() {
      const { members, ...rest } = manager.getClusterView()
      return {
        ...rest,
        members: members.map((member) => memberView(member, manager.now(), manager.nodeId))
      }
    }
  },
  {
    ...view,
    url: '/v1/members',
    about: 'Every member on three axes: liveness, lifecycle, health.',
    answer: membersAnswer,
    handle: () => ({
      members: manager
        .getClusterMembers()
        .map((member) => memberView(member, manager.now(), manager.nodeId))
    })
  },
  {
    ...view,
    url: '/v1/members/:id',
    about: 'One member.',
    parameters: z.object({ id: z.string() }),
    answer: memberAnswer,
    handle(request) {
      const { id } = request.params as { id: string }
      const member = manager.getClusterMembers().find(({ nodeId }) => nodeId === id)
      if (member === undefined) throw new NotFoundError(`no member has the id ${id}`)
      return memberView(member, manager.now(), manager.nodeId)
    }
  },
  {
    ...view,
    tag: 'health',
    url: '/v1/health',
    about: 'Every check of this node.',
    answer: healthAnswer,
    handle: () => manager.healthCheck()
  },
  {
    ...view,
    url: '/v1/raft',
    about: 'The replicas of this node: role, term, log positions, and a leader’s followers.',
    answer: groupsAnswer,
    handle: () => ({ groups: manager.getClusterView().groups })
  },
  {
    ...view,
    url: '/v1/checksums',
    about: 'Content hash of each replica of this node at its applied index.',
    answer: checksumsAnswer,
    handle: async () => ({ node: manager.nodeId, replicas: await manager.checksums() })
  }
]

export interface MonitoringParts {
  readonly manager: ClusterManager
  readonly streams: EventStreams
  readonly audit: AuditTrail
  metrics(): MetricsSnapshot
}

export const monitoringRoutes = (parts: MonitoringParts): readonly Route[] => [
  {
    ...view,
    tag: 'health',
    url: '/metrics',
    about: 'Metrics in the exposition format of Prometheus.',
    answerType: expositionType,
    handle(_request, reply) {
      reply.type(expositionType)
      return exposition(parts.manager, parts.metrics())
    }
  },
  {
    ...view,
    tag: 'health',
    url: '/v1/metrics',
    about: 'Metrics by category and name.',
    answer: metricsAnswer,
    handle: () => parts.metrics()
  },
  {
    ...view,
    url: '/v1/events',
    about: 'Server-sent events: id is the sequence number, event the type, data the event.',
    answerType: 'text/event-stream',
    handle(_request, reply) {
      const subscription = parts.streams.subscribe()
      reply.hijack()
      void parts.streams.pump(subscription, reply.raw)
    }
  },
  {
    ...view,
    access: 'admin',
    tag: 'security',
    url: '/v1/audit',
    about: 'What was asked of which node by whom, newest first.',
    answer: auditAnswer,
    handle: () => parts.audit.latest(auditRecordsShown)
  }
]

const auditRecordsShown = 256
