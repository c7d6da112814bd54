import { z } from 'zod'
import {
  type ClusterManager,
  type GroupId,
  InvalidArgumentError,
  type NodeId
} from '../../core/index.js'
import type { Route } from '../route.js'
import {
  clusterVersionAnswer,
  placementAnswer,
  schemaChangeAnswer,
  schemaChangesAnswer
} from './answers.js'
import { parse } from './request-bodies.js'

const finalizeBody = z.strictObject({
  to: z
    .number()
    .int()
    .min(1)
    .max(0xffff)
    .optional()
    .meta({ description: 'Absent: the highest that all members speak.' })
})
const shardBody = z.strictObject({
  shardKey: z.string().meta({ description: 'The column by whose value rows are spread.' }),
  groups: z
    .array(z.number().int().min(1).max(0xffff_ffff))
    .optional()
    .meta({ description: 'Absent: all groups but 0.' })
})
const abortBody = z.strictObject({
  by: z.string().min(1).max(128).meta({ description: 'Who, for the record.' })
})
const changeId = /^[0-9a-f]{32}$/
const forgetBody = z.strictObject({
  node: z.string().regex(/^[a-z0-9-]{1,63}$/, 'must be the id of a node')
})

/** What the control group holds; where it cannot be asked, an error says so. */
export const controlRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    method: 'GET',
    url: '/v1/placement',
    access: 'read',
    tag: 'cluster',
    about: 'Which groups there are, on whose nodes, and which rows belong to which.',
    answer: placementAnswer,
    handle: () => manager.control.placement()
  },
  {
    method: 'GET',
    url: '/v1/placement/schema_changes',
    access: 'read',
    tag: 'cluster',
    about: 'Changes of the schema of sharded tables: how far they are, and what stopped them.',
    answer: schemaChangesAnswer,
    handle: async () => ({ changes: await manager.control.schemaChanges() })
  },
  {
    method: 'POST',
    url: '/v1/placement/schema_changes/:id/abort',
    access: 'admin',
    tag: 'cluster',
    about: 'Ends a change of the schema that no group was asked to do yet; any other is refused.',
    body: abortBody,
    answer: schemaChangeAnswer,
    handle(request) {
      const { by } = parse(abortBody, request.body)
      const { id } = request.params as { id: string }
      if (!changeId.test(id)) throw new InvalidArgumentError('id', 'must be 32 hex digits')
      return manager.control.abortSchemaChange(id, { by })
    }
  },
  {
    method: 'PUT',
    url: '/v1/placement/tables/:table',
    access: 'admin',
    tag: 'cluster',
    about: 'Spreads the rows that a table will have over groups, by a hash of one column.',
    body: shardBody,
    answer: placementAnswer,
    handle(request) {
      const { shardKey, groups } = parse(shardBody, request.body)
      const { table } = request.params as { table: string }
      const options =
        groups === undefined ? { shardKey } : { shardKey, groups: groups as GroupId[] }
      return manager.control.shardTable(table, options)
    }
  },
  {
    method: 'DELETE',
    url: '/v1/placement/tables/:table',
    access: 'admin',
    tag: 'cluster',
    about: 'Forgets that a table is spread, after it was dropped.',
    answer: placementAnswer,
    handle(request) {
      const { table } = request.params as { table: string }
      return manager.control.unshardTable(table)
    }
  },
  {
    method: 'GET',
    url: '/v1/cluster_version',
    access: 'read',
    tag: 'operations',
    about: 'Up to which format the cluster writes, and what each node’s software speaks.',
    answer: clusterVersionAnswer,
    handle: () => manager.control.clusterVersion()
  },
  {
    method: 'POST',
    url: '/v1/cluster_version/finalize',
    access: 'admin',
    tag: 'operations',
    about: 'Raises the cluster version for good; refused while a member’s software is older.',
    body: finalizeBody,
    answer: clusterVersionAnswer,
    handle(request) {
      const { to } = parse(finalizeBody, request.body ?? {})
      return manager.control.finalizeVersion(to === undefined ? {} : { to })
    }
  },
  {
    method: 'POST',
    url: '/v1/cluster_version/forget',
    access: 'admin',
    tag: 'operations',
    about: 'Forgets the software of a node that will not come back, so that it is in nobody’s way.',
    body: forgetBody,
    answer: clusterVersionAnswer,
    handle(request) {
      const { node } = parse(forgetBody, request.body)
      return manager.control.forgetVersion(node as NodeId)
    }
  }
]
