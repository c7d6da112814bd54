import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import {
  formatHistory,
  type HistoryEvent,
  type HistoryValue,
  type OperationKind
} from '../../src/checkers/index.js'

export interface Step {
  readonly op: OperationKind
  readonly key: string
  /** A read's is null. */
  readonly value: HistoryValue
}

export interface OpenSteps {
  readonly process: string
  readonly steps: readonly Step[]
  readonly tx: string | null
}

const eventsPerWrite = 10_000

/** What the processes asked and were told, in the order in which it happened. */
export class Recorder {
  readonly events: HistoryEvent[] = []
  #transactions = 0

  /** @param isTransaction even of one step */
  begin(process: string, steps: readonly Step[], isTransaction: boolean): OpenSteps {
    const tx = isTransaction ? `t${++this.#transactions}` : null
    const open = { process, steps, tx }
    this.#add(
      open,
      'invoke',
      steps.map(({ value }) => value)
    )
    return open
  }

  /** @param values of its steps; without them those that it began with */
  end(open: OpenSteps, type: 'ok' | 'fail' | 'info', values?: readonly HistoryValue[]): void {
    this.#add(open, type, values ?? open.steps.map(({ value }) => value))
  }

  /** Without an answer. @param code what it was told instead */
  endUnanswered(open: OpenSteps, type: 'fail' | 'info', code: string): void {
    const values = open.steps.map(({ value }) => value)
    this.#add(open, type, values, code)
  }

  async write(file: string): Promise<void> {
    const handle: FileHandle = await open(file, 'w', 0o600)
    try {
      for (let from = 0; from < this.events.length; from += eventsPerWrite) {
        await handle.write(formatHistory(this.events.slice(from, from + eventsPerWrite)))
      }
    } finally {
      await handle.close()
    }
  }

  #add(
    { process, steps, tx }: OpenSteps,
    type: HistoryEvent['type'],
    values: readonly HistoryValue[],
    code?: string
  ): void {
    for (const [lane, { op, key }] of steps.entries()) {
      const by = tx === null ? process : `${process}.${lane}`
      const value = values[lane] ?? null
      const event = { process: by, type, op, key, value, ...(tx === null ? {} : { tx }) }
      this.events.push(code === undefined ? event : { ...event, code })
    }
  }
}
