import type { DeathRecord } from '../../core/cluster-membership.js'
import type { NodeId } from '../../core/ids.js'
import { RingBuffer } from '../../core/ring-buffer.js'

/** Verdicts kept for `explainDeath`; the oldest goes first. */
export const deathRecordsMax = 256

/** Probes and refutations kept of each member. */
export const keptProbesMax = 8
export const keptRefutationsMax = 4

export class DeathRecords {
  readonly #records = new RingBuffer<DeathRecord>(deathRecordsMax)

  push(record: DeathRecord): void {
    this.#records.push(record)
  }

  /** The latest verdict about this member, even if it came back since. */
  latestOf(nodeId: NodeId): DeathRecord | null {
    return this.#records.toArray().findLast((record) => record.nodeId === nodeId) ?? null
  }
}
