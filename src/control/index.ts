export { auditChangeOf } from './audit-change.js'
export { AuditRecorder } from './audit-recorder-driver.js'
export { controlTag } from './change-command.js'
export { ClusterControlDriver } from './cluster-control-driver.js'
export type { AppliedHandler, ChangeOptions, Control } from './control.js'
export { type ControlCounter, controlCounterNames } from './control-counters.js'
export { type ControlComponents, ControlDriver } from './control-driver.js'
export {
  ControlEngine,
  type ControlEngineComponents,
  controlDirectory,
  controlImageFile
} from './control-engine-driver.js'
export type { AnySection } from './control-state.js'
export { controlGroupMessages } from './messages.js'
export {
  type SchemaChangeRequest,
  SchemaChangesDriver,
  type SchemaGroups
} from './schema-changes-driver.js'
export type { Applied, AppliedAt, ControlSection } from './section.js'
export {
  type AuditChange,
  type AuditEntry,
  type AuditState,
  auditActionBytesMax,
  auditNameBytesMax,
  auditSection
} from './sections/audit.js'
export {
  type ClusterVersionState,
  clusterVersionSection,
  highestCommon,
  mayPropose,
  type NodeVersion
} from './sections/cluster-version.js'
export { type KeyRingChange, keyRingSection } from './sections/key-ring.js'
export {
  type HashRange,
  type PlacedGroup,
  type PlacedTable,
  type PlacementChange,
  type PlacementState,
  placedTable,
  placementSection
} from './sections/placement.js'
export {
  activePlan,
  type OperatorPlan,
  type PlansAnswer,
  type PlansChange,
  type PlansState,
  planById,
  plansSection
} from './sections/plans.js'
export { ownSections } from './sections.js'
export { type ControlSeed, seedImage } from './seed-image.js'
export { UpkeepDriver } from './upkeep-driver.js'
export { supportedVersions } from './versions.js'
