import { type ClusterControl, type NodeId, RingBuffer, SkeinError } from '../../core/index.js'

/** One action that somebody asked of a node, and what became of it. */
export interface AuditRecord {
  readonly at: string
  readonly node: NodeId
  readonly principal: string
  readonly role: string
  readonly address: string
  readonly method: string
  readonly path: string
  readonly status: number
}

export interface AuditAnswer {
  readonly source: 'cluster' | 'node'
  readonly records: readonly AuditRecord[]
}

/** The newest are kept; at the bound the oldest goes. Each is also a line of the log. */
export const auditRecordsMax = 1_024
/** The control group is given so long; then this node's own records have to do. */
const askTimeoutMs = 2_000

/** What was asked of this node, and in the control group what was asked of any. */
export class AuditTrail {
  readonly #records = new RingBuffer<AuditRecord>(auditRecordsMax)
  readonly #control: () => ClusterControl

  constructor(control: () => ClusterControl) {
    this.#control = control
  }

  add(record: AuditRecord): void {
    this.#records.push(record)
    const { principal, role, address, method, path, status } = record
    try {
      const action = `${method} ${path}`
      this.#control().recordAction({ principal, role, address, action, status })
    } catch (error) {
      // A node that stops still answers for what it did; its own record has to do.
      if (!(error instanceof SkeinError)) throw error
    }
  }

  /** Newest first. */
  async latest(count: number): Promise<AuditAnswer> {
    try {
      const kept = await this.#control().audit(count, { timeoutMs: askTimeoutMs })
      return { source: 'cluster', records: kept.map(recordOf) }
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error
      const own = this.#records.toArray()
      return { source: 'node', records: own.slice(-count).reverse() }
    }
  }
}

type Kept = Awaited<ReturnType<ClusterControl['audit']>>[number]

function recordOf({ at, node, principal, role, address, action, status }: Kept): AuditRecord {
  const space = action.indexOf(' ')
  return {
    at: new Date(at).toISOString(),
    node,
    principal,
    role,
    address,
    method: action.slice(0, space),
    path: action.slice(space + 1),
    status
  }
}
