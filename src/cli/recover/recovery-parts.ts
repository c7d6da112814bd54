/** What a recovery has to know of the rooms above consensus: transactions, and the audit trail. */
import type {
  GroupPayload,
  GroupRecovery,
  GroupSection,
  RecoveryEntryAt,
  RecoveryParts,
  SectionApplyAt,
  SectionEffects,
  SectionHolding
} from '../../consensus/index.js'
import {
  auditChangeOf,
  auditSection,
  ControlEngine,
  type ControlEngineComponents,
  ownSections,
  supportedVersions
} from '../../control/index.js'
import {
  CONTROL_GROUP,
  type Engine,
  type EngineProvider,
  type GroupId,
  type NodeId,
  type SystemWrite
} from '../../core/index.js'
import {
  decodeChanges,
  encodeChanges,
  failoversSection,
  restartsSection,
  sessionsSection,
  TransactionState,
  transactionKeyPrefix,
  transactionLimits
} from '../../failover/index.js'

/** Of entries that no leader made: nobody's registration is over because of them. */
const limits = { clientsMax: 0xffff_ffff, clientIdleTimeoutMs: 2 ** 52 }

const controlSections = [...ownSections, restartsSection, sessionsSection, failoversSection]

/** A group's transactions as its log has them; nobody acts on them. */
class ReadTransactions implements GroupSection<null> {
  readonly name = 'transactions'
  readonly keyPrefix = transactionKeyPrefix
  readonly rows = null
  readonly #group: GroupId
  #state: TransactionState

  constructor(group: GroupId) {
    this.#group = group
    this.#state = new TransactionState(group, transactionLimits)
  }

  restore(writes: readonly SystemWrite[]): void {
    this.#state = TransactionState.restore(this.#group, transactionLimits, writes)
  }

  apply(bytes: Uint8Array, at: SectionApplyAt): SectionEffects<null> {
    const { commands, writes, answered } = this.#state.apply(decodeChanges(bytes), at)
    return { commands, writes, answered, answer: null }
  }

  handleApplied(): void {}

  handleLeadership(): void {}

  holding(): SectionHolding {
    const branches = [...this.#state.branches()].map(({ transaction, coordinator, epoch }) => ({
      transaction,
      coordinator,
      epoch
    }))
    const decided = [...this.#state.decisions()].map(({ transaction }) => transaction)
    return { branches, decided }
  }
}

export interface RecoveryAuthor {
  readonly node: NodeId
  readonly by: string
  /** What was done, for the audit trail. */
  readonly action: string
}

/** Parts of one directory. `author`: null while it is only read. */
export class DirectoryParts implements RecoveryParts {
  readonly #author: RecoveryAuthor | null
  readonly #transactions = new Map<GroupId, ReadTransactions>()

  constructor(author: RecoveryAuthor | null) {
    this.#author = author
  }

  sections(group: GroupId): readonly GroupSection[] {
    if (group === CONTROL_GROUP) return []
    const section = new ReadTransactions(group)
    this.#transactions.set(group, section)
    return [section]
  }

  holding(group: GroupId): SectionHolding {
    return this.#transactions.get(group)?.holding() ?? { branches: [], decided: [] }
  }

  isVolatile(group: GroupId): boolean {
    return group === CONTROL_GROUP
  }

  async entry(
    { group, hasQuorum, term }: GroupRecovery,
    engine: Engine,
    { index, logTime }: RecoveryEntryAt
  ): Promise<GroupPayload | null> {
    if (engine instanceof ControlEngine && this.#author !== null) {
      const { node, by, action } = this.#author
      const told = { principal: by, role: 'admin', address: '', action, status: 200 }
      const command = await engine.planChange(auditSection, auditChangeOf(node, told), index)
      return {
        kind: 'batch',
        logTime,
        limits,
        commands: [{ ...command, client: null, kept: null }]
      }
    }
    if (hasQuorum || group === CONTROL_GROUP) return null
    const bytes = encodeChanges([{ kind: 'recover', epoch: term }])
    return { kind: 'system', logTime, limits, section: 'transactions', bytes }
  }
}

/** As a node has them: the control group's own, every other one of `engines`. */
export function enginesWith(
  engines: EngineProvider,
  components: Pick<ControlEngineComponents, 'clock' | 'crypto' | 'disk'>
): EngineProvider {
  return {
    create: (context) =>
      context.group === CONTROL_GROUP
        ? new ControlEngine({
            ...components,
            sections: controlSections,
            formatMax: supportedVersions.max,
            onApplied: () => {}
          })
        : engines.create(context)
  }
}
