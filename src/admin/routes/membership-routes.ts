import { z } from 'zod'
import { type ClusterManager, type NodeId, NotFoundError } from '../../core/index.js'
import type { Route } from '../route.js'
import {
  allMetadataAnswer,
  deathAnswer,
  metadataAnswer,
  metadataDeletedAnswer,
  metadataEntryAnswer,
  partitionsAnswer
} from './answers.js'
import { parse } from './request-bodies.js'

const view = { method: 'GET', access: 'read', tag: 'cluster' } as const
const change = { access: 'operate', tag: 'cluster' } as const

const valueBody = z.strictObject({ value: z.string() })
const name = (description: string) => z.object({ name: z.string().meta({ description }) })

/** What the failure detector knows, and what nodes say of themselves. */
export const membershipRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...view,
    url: '/v1/deaths/:id',
    about: 'Why this node held a member dead, the latest time: the inputs of the verdict.',
    parameters: z.object({ id: z.string() }),
    answer: deathAnswer,
    handle(request) {
      const { id } = request.params as { id: NodeId }
      const record = manager.membership.explainDeath(id)
      if (record === null) throw new NotFoundError(`no verdict on ${id} is remembered`)
      return { now: manager.now(), ...record }
    }
  },
  {
    ...view,
    url: '/v1/partitions',
    about: 'Nodes that this one does not reach, or not straight, and who of the voters is there.',
    answer: partitionsAnswer,
    handle: () => ({
      partitions: manager.membership.partitions().map(({ kind, unreachable, since }) => ({
        kind,
        unreachable,
        sinceAgoMs: Math.max(0, Math.round(manager.now() - since))
      })),
      quorum: manager.membership.quorum()
    })
  },
  ...metadataRoutes(manager)
]

const metadataRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...view,
    url: '/v1/metadata',
    about: 'What each member says of itself, as far as this node has heard.',
    answer: allMetadataAnswer,
    handle: () => ({
      nodes: manager.getClusterMembers().map(({ nodeId }) => metadataOf(manager, nodeId))
    })
  },
  {
    ...view,
    url: '/v1/metadata/:name',
    about: 'What one member says of itself, as far as this node has heard.',
    parameters: name('The node.'),
    answer: metadataAnswer,
    handle(request) {
      const { name: id } = request.params as { name: string }
      const member = manager.getClusterMembers().find(({ nodeId }) => nodeId === id)
      if (member === undefined) throw new NotFoundError(`no member has the id ${id}`)
      return metadataOf(manager, member.nodeId)
    }
  },
  {
    ...change,
    method: 'PUT',
    url: '/v1/metadata/:name',
    about: 'Says something of this node: at most 64 keys, of 128 bytes, with values of 512.',
    parameters: name('The key.'),
    body: valueBody,
    answer: metadataEntryAnswer,
    handle(request) {
      const { name: key } = request.params as { name: string }
      manager.metadata.set(key, parse(valueBody, request.body).value)
      return manager.metadata.entries().find((entry) => entry.key === key)
    }
  },
  {
    ...change,
    method: 'DELETE',
    url: '/v1/metadata/:name',
    about: 'Takes back what was said of this node.',
    parameters: name('The key.'),
    answer: metadataDeletedAnswer,
    handle(request) {
      const { name: key } = request.params as { name: string }
      return { key, deleted: manager.metadata.delete(key) }
    }
  }
]

const metadataOf = ({ metadata, nodeId: self }: ClusterManager, nodeId: NodeId) => ({
  nodeId,
  entries: nodeId === self ? metadata.entries() : metadata.of(nodeId)
})
