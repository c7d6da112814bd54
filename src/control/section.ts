/**
 * A named part of the control group's state: its own changes, answers and limits. Rooms that keep
 * something in the control group define a section and have it registered at composition.
 *
 * 1. `apply` is pure: state, change and `at` alone decide, the same on every replica for ever.
 * 2. A refusal is an answer with a reason. What `apply` throws is a defect, and fail-stop.
 * 3. A state is never changed in place: whoever got one may keep it.
 * 4. The codecs read whatever an earlier `format` wrote, and write the same bytes as long as no
 *    change of a later one was applied.
 * 5. A section bounds its own state; encoded it fits into a message (`messageSizeBytesMax`), so
 *    that a node without a replica can read it.
 */
import type { LogIndex, WallMs } from '../core/ids.js'
import type { Codec } from '../wire/codec.js'

export interface AppliedAt {
  /** Of the entry that holds the change; several changes may share one. */
  readonly index: LogIndex
  /** Log time of the control group: rises with every change, never goes back. */
  readonly now: WallMs
}

export interface Applied<State, Answer> {
  readonly state: State
  readonly answer: Answer
}

export interface ControlSection<State, Change, Answer> {
  /** `[a-z-]{1,32}`; never used again for something else. */
  readonly name: string
  /**
   * The highest cluster version whose changes this code knows; absent: 1. A replica that meets a
   * change above it stops.
   */
  readonly format?: number
  /** Also the section's part of a snapshot. */
  readonly state: Codec<State>
  readonly change: Codec<Change>
  readonly answer: Codec<Answer>
  initial(): State
  /** The cluster version from which on a change like this may be proposed; absent: 1. */
  formatOf?(change: Change): number
  apply(state: State, change: Change, at: AppliedAt): Applied<State, Answer>
}
