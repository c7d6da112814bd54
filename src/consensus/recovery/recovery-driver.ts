/**
 * Reads what the data directory of a stopped node holds, and has it follow a recovery plan.
 *
 * 1. The directory is locked meanwhile: of a running node nothing is read or written.
 * 2. Reading does what a start does before anything is served: a torn tail of the log is cut. What
 *    the log holds beyond the engine is followed in memory alone.
 * 3. What a plan writes goes into the log in one step and makes it another term's, a leap above all
 *    others; then the directory gets its new identity. A crash between the two is mended by the
 *    same call: a log in the plan's terms is left as it is.
 * 4. A plan is followed only while the directory holds what was reported for it.
 */
import { must } from '../../core/assert.js'
import { DataDirectoryForeignError, RecoveryRefusedError } from '../../core/errors.js'
import { type GroupId, type LogIndex, replicaIdOf, type Term } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Engine } from '../../core/ports/engine.js'
import type { EngineProvider } from '../../core/ports/engine-provider.js'
import type {
  BaseChange,
  LogEntry,
  LogStore,
  PersistRequest,
  RecoveredGroup
} from '../../core/ports/log-store.js'
import type { Logger } from '../../core/ports/logger.js'
import { configurationOf } from '../configuration.js'
import { lockFile } from '../consensus-driver.js'
import { encodeConfiguration, encodeEntryPayload } from '../entry.js'
import { type AppliedEngine, Applier, decodeEntry } from '../group/applier-driver.js'
import { encodePayload, type GroupPayload } from '../group/group-payload.js'
import type { GroupSection } from '../group/group-section.js'
import { IdentityStore } from '../identity/identity-driver.js'
import type { ReplicaIdentity } from '../identity/replica-identity.js'
import { RaftLog } from '../raft/raft-log.js'
import type {
  GroupRecovery,
  HeldBranch,
  RecoveryPlan,
  ReplicaHolding,
  SurvivorReport
} from './recovery-plan.js'

/** Of another section's knowledge, when everything the log holds was followed. */
export interface SectionHolding {
  readonly branches: readonly HeldBranch[]
  readonly decided: readonly string[]
}

export interface RecoveryEntryAt {
  readonly index: LogIndex
  readonly term: Term
  readonly logTime: number
}

/** What the replicas of a directory replicate beside their data. */
export interface RecoveryParts {
  sections(group: GroupId): readonly GroupSection[]
  holding(group: GroupId): SectionHolding
  /** Whether the engine keeps what it applies in memory until it is flushed. */
  isVolatile(group: GroupId): boolean
  /** What else a recovery writes into the log of the replica that a group goes on from. */
  entry(group: GroupRecovery, engine: Engine, at: RecoveryEntryAt): Promise<GroupPayload | null>
}

export interface RecoveryComponents {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly logger: Logger
  /** The node's data directory. */
  readonly disk: Disk
  /** On the same disk; opened and closed here. */
  readonly log: LogStore
  readonly engines: EngineProvider
  readonly parts: RecoveryParts
  engineDirectory(group: GroupId): string
}

/** A group of this directory, followed to the end of its log. */
interface Followed {
  readonly holding: ReplicaHolding
  readonly engine: Engine
  readonly applier: Applier
  readonly lastIndex: LogIndex
  readonly base: BaseChange | null
}

interface Opened {
  readonly identity: ReplicaIdentity
  readonly groups: ReadonlyMap<GroupId, RecoveredGroup>
}

/** @throws DataDirectoryInUseError, DataDirectoryForeignError, LogCorruptedError */
export function readSurvivor(components: RecoveryComponents): Promise<SurvivorReport> {
  return withDirectory(components, async (opened) => {
    const { nodeId, storageId, clusterName, founders, groups } = opened.identity
    const replicas: ReplicaHolding[] = []
    for (const group of opened.groups.keys()) {
      replicas.push(await withGroup(components, opened, group, async ({ holding }) => holding))
    }
    return {
      nodeId,
      storageId,
      clusterName,
      founders: must(founders, 'founders'),
      groups,
      replicas
    }
  })
}

/**
 * The directory is one of the plan's cluster from then on.
 * @throws RecoveryRefusedError it is not the plan's, or holds something else by now
 */
export function followPlan(
  components: RecoveryComponents,
  plan: RecoveryPlan
): Promise<'recovered' | 'unchanged'> {
  return withDirectory(components, async (opened) => {
    const { identity, groups } = opened
    const survivor = plan.survivors.find(({ nodeId }) => nodeId === identity.nodeId)
    if (survivor === undefined) throw refused(`the plan has no part for ${identity.nodeId}`)
    const { storageId, storageBefore } = survivor
    if (identity.storageId === storageId) return 'unchanged'
    if (identity.storageId !== storageBefore) {
      throw refused(`the directory is not the one that ${identity.nodeId} reported`)
    }
    const isWritten = plan.groups.every(
      ({ group, term }) => (groups.get(group)?.hardState.term ?? 0) >= term
    )
    if (!isWritten) await components.log.persist(await requestsOf(components, plan, opened))
    const { founders } = plan
    const all = plan.groups.map(({ group }) => group)
    const identities = new IdentityStore(components)
    await identities.found({ ...identity, storageId, founders, groups: all })
    return 'recovered'
  })
}

async function requestsOf(
  components: RecoveryComponents,
  plan: RecoveryPlan,
  opened: Opened
): Promise<PersistRequest[]> {
  const requests: PersistRequest[] = []
  for (const recovery of plan.groups) {
    const { group, term } = recovery
    const hardState = { term, vote: null }
    if (!opened.groups.has(group)) {
      // A record of the group keeps its start from writing a founder's first entry.
      requests.push({ group, hardState, entries: [] })
    } else {
      const request = await withGroup(components, opened, group, async (followed) => ({
        group,
        hardState,
        base: followed.base,
        entries:
          recovery.from === opened.identity.nodeId
            ? await entriesOf(components, recovery, followed)
            : []
      }))
      requests.push(request)
    }
  }
  return requests
}

/** Who votes from now on, and what the group's sections have to know. */
async function entriesOf(
  { parts }: RecoveryComponents,
  recovery: GroupRecovery,
  { holding, engine, applier, lastIndex }: Followed
): Promise<LogEntry[]> {
  const { group, term, voters, learners } = recovery
  if (lastIndex !== recovery.lastIndex || holding.lastTerm !== recovery.lastTerm) {
    const found = `term ${holding.lastTerm}, index ${lastIndex}`
    const planned = `term ${recovery.lastTerm}, index ${recovery.lastIndex}`
    throw refused(`group ${group} ends with ${found}; the plan was made for ${planned}`)
  }
  const configuration = encodeConfiguration(configurationOf(voters, learners))
  const entries = [{ index: (lastIndex + 1) as LogIndex, term, payload: configuration }]
  const index = (lastIndex + 2) as LogIndex
  const logTime = applier.nextLogTime()
  const payload = await parts.entry(recovery, engine, { index, term, logTime })
  if (payload === null) return entries
  const bytes = encodePayload(payload)
  return [...entries, { index, term, payload: encodeEntryPayload({ kind: 'batch', bytes }) }]
}

async function withDirectory<T>(
  { disk, crypto, log }: RecoveryComponents,
  body: (opened: Opened) => Promise<T>
): Promise<T> {
  const identities = new IdentityStore({ disk, crypto })
  // Before the lock, which would make a directory of a name that was mistyped.
  await identityOf(identities)
  const lock = await disk.lock(lockFile)
  try {
    const identity = await identityOf(identities)
    const { groups } = await log.open()
    return await body({ identity, groups })
  } finally {
    await log.close()
    await lock.release()
  }
}

async function identityOf(identities: IdentityStore): Promise<ReplicaIdentity> {
  const identity = await identities.read()
  if (identity !== null && identity.founders !== null) return identity
  throw new DataDirectoryForeignError('the data directory is of no cluster')
}

async function withGroup<T>(
  components: RecoveryComponents,
  { groups, identity }: Opened,
  group: GroupId,
  body: (followed: Followed) => Promise<T>
): Promise<T> {
  const { clock, engines, parts, engineDirectory } = components
  const logger = components.logger.child({ group, replica: replicaOf(identity) })
  const directory = engineDirectory(group)
  const engine = engines.create({ group, directory, clock, logger })
  try {
    const applier = new Applier({
      clock,
      engine: parts.isVolatile(group) ? engine : followedInMemory(engine),
      sections: parts.sections(group)
    })
    const found = must(groups.get(group), `group ${group}`)
    return await body(await follow(components, { group, engine, applier, found }))
  } finally {
    await engine.close()
  }
}

async function follow(
  { parts }: RecoveryComponents,
  opened: {
    readonly group: GroupId
    readonly engine: Engine
    readonly applier: Applier
    readonly found: RecoveredGroup
  }
): Promise<Followed> {
  const { group, engine, applier, found } = opened
  const { recovered, change } = await applier.open(found, { keepsRestore: true })
  const committedIndex = applier.appliedIndex
  const log = new RaftLog(recovered.base ?? null, recovered.entries)
  for (const entry of recovered.entries) {
    if (entry.index <= committedIndex) continue
    const decoded = decodeEntry(entry)
    const { payload } = decoded
    if (payload === null || payload.kind === 'check') applier.skip(decoded)
    else await applier.apply([decoded])
  }
  const { lastIndex, lastTerm, configuration } = log
  const { term } = recovered.hardState
  const lastWriteAt = applier.table.logTime
  const at = { term, lastTerm, lastIndex, committedIndex, lastWriteAt, configuration }
  const holding: ReplicaHolding = { group, ...at, ...parts.holding(group) }
  return { holding, engine, applier, lastIndex, base: change }
}

/** Its content stays what it is: only a replica that knows what is committed changes that. */
const followedInMemory = (engine: Engine): AppliedEngine => ({
  open: (options) => engine.open(options),
  readSystem: (prefix) => engine.readSystem(prefix),
  apply: async () => {}
})

const replicaOf = ({ nodeId, storageId }: ReplicaIdentity) => replicaIdOf(nodeId, storageId)

const refused = (message: string): RecoveryRefusedError => new RecoveryRefusedError(message)
