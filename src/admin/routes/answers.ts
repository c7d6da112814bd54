/** The shapes of what is answered, for the API document; a test holds real answers against them. */
import { z } from 'zod'
import {
  BreakerStates,
  Consistencies,
  HealthStatuses,
  Lifecycles,
  Livenesses,
  MemberChangeKinds,
  RaftRoles,
  ReachabilityFindings,
  TransferStates
} from '../../core/index.js'

const count = z.number().int()
const words = z.string()

export const errorAnswer = z.object({
  code: words.regex(/^ERR_SKEIN_/),
  message: words,
  retryable: z.boolean(),
  leader: words.optional(),
  details: z.looseObject({}).optional()
})

export const memberAnswer = z.looseObject({
  nodeId: words,
  address: words,
  incarnation: count,
  liveness: z.enum(Livenesses),
  lifecycle: z.enum(Lifecycles),
  health: z.enum(HealthStatuses),
  datacenter: words,
  rack: words,
  metadata: z.record(words, words),
  state: words,
  serviceState: words,
  serverStatus: words,
  lastSeenAgoMs: count
})

export const membersAnswer = z.object({ members: z.array(memberAnswer) })

export const groupAnswer = z.looseObject({
  group: count,
  name: words,
  role: z.enum(RaftRoles),
  term: count,
  leader: words.nullable(),
  handedOver: z.boolean(),
  voters: z.array(words),
  learners: z.array(words),
  commitIndex: count,
  appliedIndex: count,
  firstIndex: count,
  lastIndex: count,
  failed: words.nullable(),
  progress: z.array(
    z.object({
      nodeId: words,
      matchIndex: count,
      active: z.boolean(),
      getsSnapshot: z.boolean()
    })
  )
})

export const memberChangeAnswer = z.object({
  nodeId: words,
  change: z.enum(MemberChangeKinds),
  dryRun: z.boolean(),
  groups: z.array(
    z.object({
      group: count,
      outcome: z.enum(['planned', 'changed', 'unchanged']),
      votersBefore: z.array(words),
      voters: z.array(words),
      failuresToleratedBefore: count,
      failuresTolerated: count,
      quorumSurvives: z.boolean(),
      warnings: z.array(words)
    })
  )
})

export const groupsAnswer = z.object({ groups: z.array(groupAnswer) })

export const clusterAnswer = z.looseObject({
  clusterName: words,
  clusterId: words.nullable(),
  nodeId: words,
  address: words,
  version: words,
  members: z.array(memberAnswer),
  groups: z.array(groupAnswer)
})

const checks = z.array(z.object({ name: words, ok: z.boolean(), detail: words }))
export const livenessAnswer = z.object({ live: z.boolean(), node: words })
export const readinessAnswer = z.object({ ready: z.boolean(), checks: checks.optional() })
export const roleAnswer = z.object({
  serves: z.boolean(),
  role: words.nullable(),
  lagEntries: count.nullable()
})
export const healthAnswer = z.object({ healthy: z.boolean(), ready: z.boolean(), checks })

export const metricsAnswer = z.record(words, z.record(words, z.number()))

export const checksumsAnswer = z.object({
  node: words,
  replicas: z.array(z.object({ group: count, index: count, hash: words }))
})

export const decisionAnswer = z.looseObject({
  node: words,
  group: count,
  kind: words,
  consistency: z.enum(Consistencies),
  strategy: words,
  reason: words
})

export const explanationAnswer = z.looseObject({
  decision: decisionAnswer.nullable(),
  refusal: words.nullable(),
  candidates: z.array(z.looseObject({ node: words, eligible: z.boolean() })),
  decidedAt: z.number()
})

const sqlValue = z.union([
  z.null(),
  z.number(),
  words,
  z.object({ $int: words }),
  z.object({ $blob: words })
])
const resultAnswer = z.object({
  columns: z.array(words),
  rows: z.array(z.array(sqlValue)),
  rowsAffected: count,
  lastInsertRowid: sqlValue,
  index: count,
  group: count,
  node: words,
  stalenessMs: count.optional()
})
export const queryAnswer = z.union([resultAnswer, z.array(resultAnswer)])
export const clientAnswer = z.object({ clientId: words })

export const auditAnswer = z.object({
  /** `node`: the control group could not be asked, and these are this node's own. */
  source: z.enum(['cluster', 'node']),
  records: z.array(
    z.object({
      at: words,
      node: words,
      principal: words,
      role: words,
      address: words,
      method: words,
      path: words,
      status: count
    })
  )
})

export const placementAnswer = z.object({
  version: count,
  groups: z.array(z.object({ group: count, voters: z.array(words), leader: words.nullable() })),
  tables: z.array(
    z.object({
      table: words,
      shardKey: words,
      ranges: z.array(z.object({ from: count, group: count }))
    })
  )
})

export const schemaChangeAnswer = z.object({
  id: words,
  table: words.nullable(),
  sql: words,
  groups: z.array(count),
  doneIn: z.array(count),
  status: z.enum(['running', 'done', 'refused', 'stopped', 'aborted']),
  code: words,
  reason: words,
  begunAt: z.number(),
  changedAt: z.number()
})
export const schemaChangesAnswer = z.object({ changes: z.array(schemaChangeAnswer) })

export const clusterVersionAnswer = z.object({
  clusterVersion: count,
  minVersion: count,
  highestCommon: count.nullable(),
  nodes: z.array(
    z.object({
      node: words,
      min: count,
      max: count,
      software: words,
      runtime: words.nullable()
    })
  ),
  silent: z.array(words)
})

const certificate = z.object({ serialNumber: words, notBefore: z.number(), notAfter: z.number() })
export const certificatesAnswer = z.object({
  own: certificate.nullable(),
  daysLeft: count.nullable(),
  authorities: z.array(z.object({ id: words, subject: words, notAfter: z.number() })),
  failure: words.nullable()
})

const told = {
  nodes: count,
  responses: count,
  errors: z.array(z.object({ nodeId: words, code: words, message: words }))
}
export const tellAnswer = z.object(told)
export const reloadAnswer = z.object({
  certificates: certificatesAnswer,
  report: tellAnswer.nullable()
})

export const securityAnswer = z.object({
  node: words,
  certificates: certificatesAnswer,
  revocations: z.object({
    lists: z.array(
      z.object({ authorityId: words, number: count, issuedAt: z.number(), revoked: count })
    ),
    denied: z.array(z.object({ kind: words, name: words }))
  })
})

export const keysAnswer = z.object({
  ...told,
  primary: words,
  version: count,
  rotating: words.nullable(),
  keys: z.array(z.object({ id: words, isPrimary: z.boolean(), installed: count, used: count }))
})

const ms = z.number()
const known = <T extends z.ZodType>(shape: T) => shape.nullable()

export const peersAnswer = z.object({
  peers: z.array(
    z.looseObject({
      nodeId: words,
      latency: known(z.looseObject({ count, averageMs: ms, p50Ms: ms, maxMs: ms })),
      distribution: known(z.looseObject({ count, p50Ms: ms, p90Ms: ms })),
      jitterMs: known(ms),
      loss: z.looseObject({ kind: z.enum(['insufficientData', 'measured']), sent: count }),
      throughput: known(z.looseObject({ sentMbps: ms, receivedMbps: ms })),
      capacity: known(z.looseObject({ mbps: known(ms) })),
      clockOffset: known(z.looseObject({ offsetMs: ms, errorMs: ms })),
      quality: z.looseObject({ value: known(ms) }),
      verdict: known(z.looseObject({ status: words, reason: words }))
    })
  )
})

export const statusesAnswer = z.object({
  statuses: z.array(z.looseObject({ nodeId: words, status: z.enum(HealthStatuses), ageMs: ms }))
})

export const matrixAnswer = z.object({
  rows: z.array(
    z.object({
      origin: words,
      version: count,
      cells: z.array(z.object({ to: words, rttMs: known(ms), lossRate: known(ms), ageMs: ms }))
    })
  )
})

export const relayRoutesAnswer = z.object({
  routes: z.array(
    z.looseObject({
      target: words,
      relay: words,
      why: z.enum(['outage', 'degraded']),
      directMs: known(ms),
      viaMs: ms,
      expectedImprovement: ms
    })
  )
})

export const verdictsAnswer = z.object({
  records: z.array(z.looseObject({ from: words, verdict: z.looseObject({ nodeId: words }) }))
})

export const capacityAnswer = z.looseObject({ mbps: known(ms), bytesSent: count, durationMs: ms })

const way = known(
  z.object({
    small: z.object({ sent: count, received: count }),
    full: z.object({ sent: count, received: count })
  })
)
export const reachabilityAnswer = z.object({
  nodes: z.array(
    z.object({
      nodeId: words,
      address: words,
      finding: z.enum(ReachabilityFindings),
      roundTripMs: known(ms),
      error: known(z.looseObject({ code: words, message: words })),
      out: way,
      back: way
    })
  )
})

export const explanationsAnswer = z.object({
  strategy: words,
  strategies: z.array(words),
  ejections: z.array(z.object({ nodeId: words, reason: words, forMs: z.number(), times: count })),
  decisions: z.array(explanationAnswer)
})

export const strategyAnswer = z.object({ strategy: words, previous: words })

const keyRates = z.array(z.object({ key: words, ratePerSecond: z.number() }))
const hotspot = z.looseObject({
  scope: z.enum(['node', 'key']),
  node: words.optional(),
  key: words.optional(),
  ratePerSecond: z.number(),
  windowPerSecond: z.number()
})
export const hotspotsAnswer = z.object({
  current: z.array(hotspot),
  loads: z.array(
    z.object({
      node: words,
      ratePerSecond: z.number(),
      windowPerSecond: z.number(),
      leaderPerSecond: z.number(),
      keys: keyRates,
      ageMs: ms
    })
  )
})

export const metadataEntryAnswer = z.object({ key: words, value: words, version: count })
export const metadataAnswer = z.object({
  nodeId: words,
  entries: z.array(metadataEntryAnswer)
})
export const allMetadataAnswer = z.object({ nodes: z.array(metadataAnswer) })
export const metadataDeletedAnswer = z.object({ key: words, deleted: z.boolean() })

export const partitionsAnswer = z.object({
  partitions: z.array(z.object({ kind: words, unreachable: z.array(words), sinceAgoMs: count })),
  quorum: z.object({
    isPresent: z.boolean(),
    needed: count,
    present: z.array(words),
    missing: z.array(words)
  })
})

/** Times are of the clock whose reading is `now`. */
export const deathAnswer = z.looseObject({
  now: ms,
  nodeId: words,
  incarnation: count,
  at: ms,
  verdictBy: z.enum(['ownTimer', 'rumour']),
  accuser: words,
  suspicion: known(
    z.looseObject({ startedAt: ms, accuser: words, confirmedBy: z.array(words), verdictAt: ms })
  ),
  probes: z.array(z.looseObject({ sentAt: ms, outcome: words })),
  lastFailedProbe: known(z.looseObject({ sentAt: ms, helpers: z.array(words) })),
  refutations: z.array(z.object({ at: ms, incarnation: count })),
  lastSeen: ms,
  liveMembers: count,
  localHealthMultiplier: z.number(),
  lastLate: known(z.object({ at: ms, lateMs: ms }))
})

export const transfersAnswer = z.object({
  transfers: z.array(
    z.object({
      id: words,
      direction: z.enum(['in', 'out']),
      peer: words,
      file: words,
      state: z.enum(TransferStates),
      sizeBytes: known(count),
      doneBytes: count,
      resumedBytes: count,
      chunksDamaged: count,
      startedAgoMs: count,
      endedAgoMs: known(count),
      failure: known(words)
    })
  ),
  breakers: z.array(z.object({ nodeId: words, state: z.enum(BreakerStates), retryInMs: known(ms) }))
})

export const tenantsAnswer = z.object({
  tenants: z.array(
    z.object({
      tenant: words,
      version: count,
      origin: words,
      services: z.array(words),
      clients: count,
      sizeBytes: count,
      changedAt: z.number()
    })
  )
})

export const configAnswer = z.object({
  config: z.record(words, z.looseObject({})),
  reloadable: z.array(words)
})
