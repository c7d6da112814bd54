import type { HistoryEvent, HistoryValue, OperationKind } from '../../../src/checkers/index.js'

export type Step =
  | readonly ['append' | 'write' | 'cas', string, HistoryValue]
  | readonly ['read', string]

export interface OpenTransaction {
  readonly process: string
  readonly name: string
  readonly steps: readonly Step[]
}

/** Writes histories of transactions, event by event. */
export class HistoryWriter {
  readonly events: HistoryEvent[]
  #transactions: number

  /** @param before what it goes on from */
  constructor(before: readonly HistoryEvent[] = []) {
    this.events = [...before]
    this.#transactions = before.length
  }

  begin(process: string, steps: readonly Step[]): OpenTransaction {
    const name = `t${++this.#transactions}`
    const open = { process, name, steps }
    for (const [i, [op, key, value = null]] of steps.entries()) {
      this.#add(open, i, { type: 'invoke', op, key, value })
    }
    return open
  }

  /** @param answers of its reads, in order */
  end(
    open: OpenTransaction,
    type: 'ok' | 'fail' | 'info' = 'ok',
    answers: readonly HistoryValue[] = []
  ): string {
    let read = 0
    for (const [i, [op, key, value = null]] of open.steps.entries()) {
      const answer = op === 'read' && type === 'ok' ? (answers[read++] ?? null) : value
      this.#add(open, i, { type, op, key, value: answer })
    }
    return open.name
  }

  /** Begins and ends at once. */
  run(process: string, steps: readonly Step[], answers: readonly HistoryValue[] = []): string {
    return this.end(this.begin(process, steps), 'ok', answers)
  }

  fail(process: string, steps: readonly Step[]): string {
    return this.end(this.begin(process, steps), 'fail')
  }

  #add(
    { process, name }: OpenTransaction,
    lane: number,
    event: { type: HistoryEvent['type']; op: OperationKind; key: string; value: HistoryValue }
  ): void {
    this.events.push({ process: `${process}.${lane}`, ...event, tx: name })
  }
}
