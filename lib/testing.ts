/** Checkers of histories and the simulator, for the tests of embedders and of this library. */
import { nodeCompression, nodeCrypto } from '../src/runtime/index.js'
import {
  type SimulationOptions,
  type SimulationResult,
  simulate as simulateWith
} from '../src/simulation/index.js'
import { SkeinClient } from './client.js'
import { ClusterNetworkManager } from './cluster-network-manager.js'

export {
  type BalanceSheet,
  type BankFault,
  type BankHistoryFault,
  type BankHistoryVerdict,
  type BankOptions,
  type CounterFault,
  type CycleKind,
  checkBank,
  checkBankHistory,
  checkCounters,
  checkLinearizability,
  checkListAppend,
  checkSet,
  checkSetFull,
  type EdgeKind,
  formatHistory,
  type HistoryEvent,
  type HistoryEventType,
  type HistoryValue,
  historyEventTypes,
  type LinearizabilityOptions,
  type ListAppendAnomaly,
  type ListAppendCycle,
  type ListAppendVerdict,
  type Model,
  type Operation,
  type OperationKind,
  operationKinds,
  pairOperations,
  pairTransactions,
  parseHistory,
  registerModel,
  type SetFullVerdict,
  type SetObservation,
  type SetVerdict,
  type Transaction,
  type TransactionOperation,
  type Verdict
} from '../src/checkers/index.js'

export {
  type CampaignOptions,
  type CampaignProgress,
  type CampaignReport,
  type FaultCounts,
  type FaultKind,
  faultKinds,
  type Invariant,
  Invariants,
  type MembershipReport,
  type MembershipRow,
  type MembershipSimulationOptions,
  type Minimised,
  minimise,
  replayArguments,
  runCampaign,
  type SeedOutcome,
  type SeedViolation,
  type SimulationOptions,
  type SimulationResult,
  type SwarmOptions,
  serveSeeds,
  simulateMembership,
  type Trouble,
  troubles,
  type Violation
} from '../src/simulation/index.js'

/** One seed of the whole cluster; `log` is told what happens, with virtual time. */
export const simulate = (
  seed: number,
  options: SimulationOptions,
  log?: (line: string) => void
): Promise<SimulationResult> =>
  simulateWith(seed, options, {
    create: (init) => ClusterNetworkManager.create(init),
    connect: (init) => SkeinClient.connect(init),
    crypto: nodeCrypto(),
    compression: nodeCompression(),
    ...(log === undefined ? {} : { log })
  })
