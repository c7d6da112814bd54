/**
 * The starts of a data directory: counted in the directory itself, told to every peer, and
 * remembered by those. Of a directory that was put back to an older copy, the peers remember what
 * it has forgotten.
 *
 * 1. A process tells its mark when it is durable, and never before; the next process on the same
 *    directory counts one more, with another nonce. A start that could not write goes on under the
 *    mark that it has found.
 * 2. So counts rise along the life of a directory, and one count has one nonce. A process of which
 *    somebody has heard a higher count, or its count with another nonce, stands on an older copy,
 *    or beside one.
 * 3. The process judges itself, by what others tell it they have heard. Nobody can have heard what
 *    was not told: however late, doubled or out of order marks come, an honest process finds none
 *    above its own.
 * 4. Marks are of one replica, node and storage: a disk that was replaced begins anew.
 *
 * A copy that was taken while the process ran has the mark of that process, and no later one is
 * known when that process is the last that was heard: what such a copy has forgotten, the leader
 * proves (`raft/lost-state.ts`).
 */
import { LogCorruptedError } from '../../core/errors.js'
import type { ReplicaId } from '../../core/ids.js'
import { decodeCheckedText, encodeCheckedText } from '../identity/checked-text.js'

export interface StartMark {
  /** From 1. */
  readonly count: number
  /** 16 hex digits, drawn at this start. */
  readonly nonce: string
}

/** Replicas whose marks are remembered; at the bound the one heard longest ago is forgotten. */
export const startMarksMax = 1_024

const firstLine = 'skein start 1'
const noncePattern = /^[0-9a-f]{16}$/

export const nextMark = (before: StartMark | null, nonce: string): StartMark => ({
  count: (before?.count ?? 0) + 1,
  nonce
})

/** Whether a process with the mark `own` stands on an older copy, when somebody heard `heard`. */
export const isOutlived = (own: StartMark, heard: StartMark): boolean =>
  heard.count > own.count || (heard.count === own.count && heard.nonce !== own.nonce)

/** The highest mark of each replica that this process has heard. */
export class HeardMarks {
  readonly #marks = new Map<ReplicaId, StartMark>()

  /** Answers the highest one, this one included; of two that count alike, the first. */
  note(replica: ReplicaId, mark: StartMark): StartMark {
    const known = this.#marks.get(replica)
    const highest = known !== undefined && known.count >= mark.count ? known : mark
    // The order of the map is that in which they were heard.
    this.#marks.delete(replica)
    this.#marks.set(replica, highest)
    if (this.#marks.size > startMarksMax) {
      for (const [oldest] of this.#marks) {
        this.#marks.delete(oldest)
        break
      }
    }
    return highest
  }

  get size(): number {
    return this.#marks.size
  }
}

export const encodeMark = ({ count, nonce }: StartMark): Uint8Array =>
  encodeCheckedText(firstLine, { count, nonce })

/** @throws LogCorruptedError not what was once written here */
export function decodeMark(bytes: Uint8Array): StartMark {
  try {
    const { count, nonce } = decodeCheckedText(firstLine, bytes)
    if (!Number.isSafeInteger(count) || !noncePattern.test(String(nonce))) {
      throw new Error('no mark of a start')
    }
    return { count: Number(count), nonce: String(nonce) }
  } catch (cause) {
    throw new LogCorruptedError('the start mark of the data directory cannot be read', { cause })
  }
}
