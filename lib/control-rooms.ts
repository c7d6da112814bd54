/** The control group on one node: its driver, what is kept up in it, and the facade's view. */
import type { ConsensusDriver } from '../src/consensus/index.js'
import {
  AuditRecorder,
  ClusterControlDriver,
  ControlDriver,
  type KeyRingChange,
  ownSections,
  placementSection,
  SchemaChangesDriver,
  type SchemaGroups,
  UpkeepDriver
} from '../src/control/index.js'
import {
  type Clock,
  CONTROL_GROUP,
  type Crypto,
  type Disk,
  isServing,
  Lifecycles,
  type Logger,
  type Member,
  type Messenger,
  type NodeId,
  type PlacementView,
  type Random,
  type VersionRange
} from '../src/core/index.js'
import { failoversSection, restartsSection, sessionsSection } from '../src/failover/index.js'
import { runtimeName } from '../src/runtime/index.js'
import { version } from './version.js'

export interface ControlRooms {
  readonly driver: ControlDriver
  readonly recorder: AuditRecorder
  readonly upkeep: UpkeepDriver
  readonly view: ClusterControlDriver
  readonly schemaChanges: SchemaChangesDriver
  readonly keys: LearnedKeyRing
  /** What the replica here holds already, however it came by it. */
  learnShards(): void
}

export interface ControlParts {
  readonly nodeId: NodeId
  /** What this node's software speaks. */
  readonly versions: VersionRange
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly disk: Disk
  readonly messenger: Messenger
  readonly logger: Logger
  readonly consensus: ConsensusDriver
  members(): readonly Member[]
  readonly groups: SchemaGroups
  /** Which tables are spread has changed, or is known for the first time. */
  onShards(version: number, tables: PlacementView['tables']): void
}

/** The gossip key ring as this node has it, by the ids of its keys, once it has changed. */
export class LearnedKeyRing {
  #ring: KeyRingChange | null = null

  get ring(): KeyRingChange | null {
    return this.#ring
  }

  learn({ version, writer, primary, keys }: KeyRingChange): void {
    this.#ring = { version, writer, primary, keys }
  }
}

export function composeControl(parts: ControlParts): ControlRooms {
  const { nodeId, clock, logger, consensus, versions } = parts
  const keys = new LearnedKeyRing()
  const serving = () => parts.members().filter(isServing)
  const driver = new ControlDriver(
    {
      ...parts,
      sections: [...ownSections, restartsSection, sessionsSection, failoversSection],
      replica: () => consensus.group(CONTROL_GROUP),
      members: () => serving().map((member) => member.nodeId)
    },
    { nodeId, formatMax: versions.max }
  )
  driver.onApplied(placementSection, ({ version, tables }) => parts.onShards(version, tables))
  const recorder = new AuditRecorder({ clock, control: driver, logger }, { nodeId })
  const hosted = () => consensus.groups().filter(({ group }) => group !== CONTROL_GROUP)
  const upkeep = new UpkeepDriver(
    {
      clock,
      logger,
      control: driver,
      hostedGroups: () =>
        hosted().map((replica) => ({
          group: replica.group,
          voters: replica.leadership().voters
        })),
      keyRing: () => keys.ring
    },
    { nodeId, software: version, runtime: runtimeName(), versions }
  )
  const present = () => parts.members().filter(({ lifecycle }) => lifecycle !== Lifecycles.Left)
  const view = new ClusterControlDriver({
    clock,
    control: driver,
    recorder,
    members: () => present().map((member) => member.nodeId)
  })
  const learnShards = () => {
    const placement = driver.local(placementSection)
    if (placement !== null) parts.onShards(placement.version, placement.tables)
  }
  const { groups } = parts
  const schemaChanges = new SchemaChangesDriver({ clock, control: driver, logger, groups })
  return { driver, recorder, upkeep, view, schemaChanges, keys, learnShards }
}
