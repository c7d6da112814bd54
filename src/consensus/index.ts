export { type Configuration, configurationOf, isJoint, membersOf } from './configuration.js'
export {
  type ConsensusComponents,
  ConsensusDriver,
  type ConsensusOptions
} from './consensus-driver.js'
export { type ConsensusCounter, consensusCounterNames } from './counters.js'
export {
  configurationIn,
  decodeEntryPayload,
  type EntryPayload,
  encodeConfiguration,
  encodeEntryPayload
} from './entry.js'
export type { ClientStanding } from './group/client-standing.js'
export type { GroupCopy } from './group/group-copy-driver.js'
export type { GroupDriver } from './group/group-driver.js'
export { groupMessages } from './group/group-messages.js'
export { encodeKeptResult, type GroupPayload } from './group/group-payload.js'
export type {
  GroupSection,
  MakeEntry,
  RowGuard,
  RowPlace,
  Rows,
  SectionApplyAt,
  SectionAt,
  SectionEffects,
  SectionTurn
} from './group/group-section.js'
export { statementError } from './group/statement-error.js'
export { hostMessages } from './host/host-messages.js'
export type { ReplicaIdentity } from './identity/replica-identity.js'
export {
  type ClusterSeed,
  planSeed,
  type SeededGroup,
  type SeedRequest
} from './identity/seed.js'
export { localKeyPrefix, reconcile } from './log/engine-base.js'
export { SegmentedLog, type SegmentedLogOptions } from './log/segmented-log-driver.js'
export type { ClusterKnowledge } from './members/cluster-members-driver.js'
export { type RaftMessage, raftDeclarations } from './messages.js'
export type { MemberChange, MemberRole } from './raft/configuration-change.js'
export type { RaftOptions } from './raft/options.js'
export { Raft } from './raft/raft.js'
export type {
  ChangeOutcome,
  CompactionLimits,
  ElectionRecord,
  ProposeOutcome,
  RaftEvent,
  RaftInit,
  RaftPersist,
  RaftStatus,
  ReplicaProgress
} from './raft/types.js'
export {
  followPlan,
  type RecoveryComponents,
  type RecoveryEntryAt,
  type RecoveryParts,
  readSurvivor,
  type SectionHolding
} from './recovery/recovery-driver.js'
export {
  type GroupRecovery,
  planRecovery,
  type RecoveryPlan,
  type ReplicaHolding,
  type SurvivorReport
} from './recovery/recovery-plan.js'
export { seedDirectory } from './seed-driver.js'
