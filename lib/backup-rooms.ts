/** Backups on one node: what its replicas copy, and what the other leaders hold meanwhile. */
import type { ConsensusDriver } from '../src/consensus/index.js'
import { type Control, clusterVersionSection, placementSection } from '../src/control/index.js'
import {
  type Clock,
  CONTROL_GROUP,
  type Crypto,
  type Logger,
  type NodeId
} from '../src/core/index.js'
import { BackupsDriver, type TransactionsDriver } from '../src/failover/index.js'
import { version } from './version.js'

export interface BackupParts {
  readonly nodeId: NodeId
  readonly clusterName: string
  readonly clock: Clock
  readonly crypto: Crypto
  readonly logger: Logger
  readonly consensus: ConsensusDriver
  readonly control: Control
  readonly transactions: TransactionsDriver
}

export function composeBackups(parts: BackupParts): BackupsDriver {
  const { nodeId, clusterName, consensus, control, transactions } = parts
  return new BackupsDriver(
    {
      ...parts,
      groups: () =>
        consensus
          .groups()
          .filter(({ group }) => group !== CONTROL_GROUP)
          .map((replica) => ({
            group: replica.group,
            term: () => replica.status().term,
            logNow: () => replica.logNow(),
            begin: () => replica.beginCopy()
          })),
      clusterId: () => consensus.clusterId(),
      placement: (deadline) => control.read(placementSection, deadline),
      versions: async (deadline) => {
        const { clusterVersion, minVersion } = await control.read(clusterVersionSection, deadline)
        return { clusterVersion, minVersion }
      },
      hold: (group, request, deadline) => transactions.hold(group, request, deadline)
    },
    { nodeId, clusterName, software: version }
  )
}
