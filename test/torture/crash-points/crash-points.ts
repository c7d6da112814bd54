/**
 * Places of the durable path at which a node of the tests can be told to die: before and after each
 * step by which something becomes durable, is applied, or is promised to somebody. They lie at the
 * ports (`crash-disk.ts`, `crash-engine.ts`, `crash-observer.ts`), so the node that is published
 * knows nothing of them.
 */

/**
 * How a node is brought to a point. `load`: it comes there by itself. `election`: the leader dies.
 * `start`: it is started with the point armed. `catchUp`: it was away until the log had forgotten
 * what it lacks, and is started again; `offer`: the leader of one that was away. `control`: the
 * control group is given enough to do that its image is written. `founding`: its first start.
 */
export type Stimulus = 'load' | 'election' | 'start' | 'catchUp' | 'offer' | 'control' | 'founding'

/** `before` and `after` a step; `half`: part of its bytes; `within`: soon after it began. */
export const crashPoints = {
  'identity_write.before': 'founding',
  'identity_write.after': 'founding',
  'identity_rename.after': 'founding',
  'identity_name.after': 'founding',
  // A frame of the log: one write that is durable when it ends.
  'log_frame.before': 'load',
  'log_frame.half': 'load',
  'log_frame.after': 'load',
  // A new segment of the log.
  'segment_write.before': 'load',
  'segment_sync.before': 'load',
  'segment_sync.after': 'load',
  'segment_name.after': 'load',
  'segment_remove.before': 'load',
  'segment_remove.after': 'load',
  // What a start finds is made durable before it is built upon.
  'recovery_sync.before': 'start',
  'recovery_sync.after': 'start',
  'vote_persist.before': 'election',
  'vote_persist.after': 'election',
  'vote_answer.before': 'election',
  'vote_answer.after': 'election',
  'entries_persist.before': 'load',
  'entries_persist.after': 'load',
  'entries_answer.before': 'load',
  'entries_answer.after': 'load',
  'base_persist.before': 'load',
  'base_persist.after': 'load',
  'apply.before': 'load',
  'apply.after': 'load',
  'flush.before': 'load',
  'flush.after': 'load',
  'snapshot_copy.before': 'offer',
  'snapshot_copy.after': 'offer',
  'manifest_write.before': 'catchUp',
  'manifest_write.after': 'catchUp',
  'manifest_rename.after': 'catchUp',
  'manifest_name.after': 'catchUp',
  'restore_write.after': 'catchUp',
  'restore_finish.before': 'catchUp',
  'restore_finish.within': 'catchUp',
  'restore_finish.after': 'catchUp',
  'restored_base_persist.after': 'catchUp',
  'image_write.before': 'control',
  'image_write.after': 'control',
  'image_rename.after': 'control',
  'image_name.after': 'control',
  // Transactions over groups: a branch's promise, the decision, and what it makes of the branch.
  'prepare_persist.before': 'load',
  'prepare_persist.after': 'load',
  'prepare_apply.before': 'load',
  'prepare_apply.after': 'load',
  'decision_persist.before': 'load',
  'decision_persist.after': 'load',
  'decision_apply.before': 'load',
  'decision_apply.after': 'load',
  'branch_end_apply.before': 'load',
  'branch_end_apply.after': 'load',
  'client_answer.before': 'load',
  'client_answer.after': 'load'
} as const satisfies Readonly<Record<string, Stimulus>>

export type CrashPoint = keyof typeof crashPoints
export const crashPointNames = Object.keys(crashPoints) as CrashPoint[]

export interface Armed {
  readonly point: CrashPoint
  /** Dies when it comes there so often. */
  readonly hits: number
}

/** What a node of the tests is told. */
export type CrashOrder = { readonly type: 'arm'; readonly armed: Armed | null }

export class CrashPoints {
  readonly #die: (point: CrashPoint) => void
  readonly #soon: (callback: () => void) => void
  #armed: Armed | null = null
  #hitsLeft = 0

  /**
   * @param die ends the process before it returns
   * @param soon calls back a moment after this turn of the event loop, in which others go on
   */
  constructor(die: (point: CrashPoint) => void, soon: (callback: () => void) => void) {
    this.#die = die
    this.#soon = soon
  }

  /** In the place of what was armed before; null: nothing. */
  arm(armed: Armed | null): void {
    this.#armed = armed
    this.#hitsLeft = armed?.hits ?? 0
  }

  /** For whoever has work to find out whether this is the place. */
  isArmed(point: CrashPoint): boolean {
    return this.#armed?.point === point
  }

  hit(point: CrashPoint): void {
    if (this.#armed?.point !== point) return
    if (--this.#hitsLeft > 0) return
    this.#armed = null
    this.#die(point)
  }

  /** The same, a moment later. */
  hitSoon(point: CrashPoint): void {
    if (this.isArmed(point)) this.#soon(() => this.hit(point))
  }
}

/** `POINT:HITS`, as a node is given it at its start. */
export const armedText = ({ point, hits }: Armed): string => `${point}:${hits}`

/** @throws RangeError */
export function parseArmed(text: string): Armed {
  const [name, hits] = text.split(':')
  const point = crashPointNames.find((one) => one === name)
  if (point !== undefined && Number.isInteger(Number(hits))) return { point, hits: Number(hits) }
  throw new RangeError(`no crash point: ${text}`)
}
