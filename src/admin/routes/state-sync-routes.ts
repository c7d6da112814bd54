import type { ClusterManager } from '../../core/index.js'
import type { Route } from '../route.js'
import { tenantsAnswer, transfersAnswer } from './answers.js'

const view = { method: 'GET', access: 'read', tag: 'cluster' } as const

/** What nodes bring one another. */
export const stateSyncRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...view,
    url: '/v1/transfers',
    about: 'Files on their way to and from this node, the latest that ended, and open breakers.',
    answer: transfersAnswer,
    handle() {
      const now = manager.now()
      const agoMs = (at: number) => Math.max(0, Math.round(now - at))
      return {
        transfers: manager.stateSync.transfers().map(({ startedAt, endedAt, ...transfer }) => ({
          ...transfer,
          startedAgoMs: agoMs(startedAt),
          endedAgoMs: endedAt === null ? null : agoMs(endedAt)
        })),
        breakers: manager.stateSync.breakers()
      }
    }
  },
  {
    ...view,
    url: '/v1/tenants',
    about: 'What this node has heard of tenants.',
    answer: tenantsAnswer,
    handle: () => ({ tenants: manager.stateSync.tenants.list() })
  }
]
