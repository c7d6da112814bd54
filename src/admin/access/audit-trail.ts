import { RingBuffer } from '../../core/index.js'

/** One action that somebody asked of this node, and what became of it. */
export interface AuditRecord {
  readonly at: string
  readonly principal: string
  readonly role: string
  readonly address: string
  readonly method: string
  readonly path: string
  readonly status: number
}

/** The newest are kept; at the bound the oldest goes. Each is also a line of the log. */
export const auditRecordsMax = 1_024

export class AuditTrail {
  readonly #records = new RingBuffer<AuditRecord>(auditRecordsMax)

  add(record: AuditRecord): void {
    this.#records.push(record)
  }

  /** Newest first. */
  latest(count: number): readonly AuditRecord[] {
    return this.#records.toArray().slice(-count).reverse()
  }
}
