export {
  type Configuration,
  configurationIn,
  decodeEntryPayload,
  type EntryPayload,
  encodeEntryPayload
} from './entry.js'
export { SegmentedLog, type SegmentedLogOptions } from './log/segmented-log-driver.js'
export { type RaftMessage, raftDeclarations } from './messages.js'
export type { RaftOptions } from './raft/options.js'
export { Raft } from './raft/raft.js'
export type {
  ElectionRecord,
  ProposeOutcome,
  RaftEvent,
  RaftInit,
  RaftPersist,
  RaftStatus,
  ReplicaProgress
} from './raft/types.js'
