import { z } from 'zod'
import type { ClusterManager } from '../../core/index.js'
import type { Route } from '../route.js'
import { configAnswer } from './answers.js'

const changesBody = z.record(z.string(), z.record(z.string(), z.unknown()))

/** What is configured; the configuration names files of secrets and holds none. */
export const configRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    method: 'GET',
    access: 'read',
    tag: 'operations',
    url: '/v1/config',
    about: 'The configuration in effect, and which of its fields may change while the node runs.',
    answer: configAnswer,
    handle: () => answerOf(manager)
  },
  {
    method: 'PATCH',
    access: 'admin',
    tag: 'operations',
    url: '/v1/config',
    about: 'Changes fields of this node until it ends, all of them or none; its file stays.',
    body: changesBody,
    answer: configAnswer,
    handle(request) {
      // It reports all faults at once by itself.
      manager.config.change(request.body)
      return answerOf(manager)
    }
  }
]

const answerOf = ({ config }: ClusterManager) => ({
  config: config.current(),
  reloadable: config.reloadable
})
