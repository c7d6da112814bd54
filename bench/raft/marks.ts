import {
  DEFAULT_GROUP,
  type Engine,
  type GroupId,
  type ObservedMessage,
  type PersistRequest,
  type ReplicaObserver
} from '../../src/core/index.js'

/** What a write passes on one node. */
export type Stage =
  | 'plan'
  | 'planned'
  | 'append sent'
  | 'log write'
  | 'log durable'
  | 'answer sent'
  | 'apply'
  | 'applied'

export interface Mark {
  readonly stage: Stage
  readonly atMs: number
}

/** More are not kept. */
export const marksMax = 100_000

/** By the clock that all processes of a machine share. */
export const sharedNowMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** Notes when the writes of the default group pass each stage. */
export class MarkingObserver implements ReplicaObserver {
  #marks: Mark[] = []

  onRecovered(): void {}

  onPersist({ group, entries }: PersistRequest): void {
    if (entries.length > 0) this.#note(group, 'log write')
  }

  onPersisted({ group, entries }: PersistRequest): void {
    if (entries.length > 0) this.#note(group, 'log durable')
  }

  onSend({ group, kind }: ObservedMessage): void {
    if (kind === 'appendEntries') this.#note(group, 'append sent')
    else if (kind === 'appendEntriesResponse') this.#note(group, 'answer sent')
  }

  watched(group: GroupId, engine: Engine): Engine {
    const plan = engine.plan.bind(engine)
    const apply = engine.apply.bind(engine)
    engine.plan = async (...args) => {
      this.#note(group, 'plan')
      const outcome = await plan(...args)
      this.#note(group, 'planned')
      return outcome
    }
    engine.apply = async (...args) => {
      this.#note(group, 'apply')
      await apply(...args)
      this.#note(group, 'applied')
    }
    return engine
  }

  /** Since the last call. */
  take(): readonly Mark[] {
    const taken = this.#marks
    this.#marks = []
    return taken
  }

  #note(group: GroupId, stage: Stage): void {
    if (group !== DEFAULT_GROUP || this.#marks.length >= marksMax) return
    this.#marks.push({ stage, atMs: sharedNowMs() })
  }
}
