export {
  type CampaignOptions,
  type CampaignProgress,
  type CampaignReport,
  runCampaign,
  type SeedOutcome,
  type SeedViolation
} from './campaign.js'
export { type FaultCounts, type FaultKind, faultKinds } from './fault-counts.js'
export type { CreateManager, SimulatedManager, SimulatedPorts } from './manager.js'
export {
  type MembershipReport,
  type MembershipRow,
  type MembershipSimulationOptions,
  simulateMembership
} from './membership/report.js'
export { type Minimised, minimise, replayArguments } from './minimise.js'
export { serveSeeds } from './serve-seeds.js'
export {
  type SimulationComponents,
  type SimulationOptions,
  type SimulationResult,
  simulate
} from './simulation.js'
export { type SwarmOptions, type Trouble, troubles } from './swarm-options.js'
export { type Invariant, Invariants, type Violation } from './violations.js'
