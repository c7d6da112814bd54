import { must, type SplittableRandom } from '../../src/core/index.js'
import { type Ledger, ledgerSchema } from './ledger.js'
import type { OpenSteps, Recorder } from './recorder.js'
import type { CallOutcome, TortureClient } from './torture-client.js'
import { pause } from './torture-cluster.js'
import type { Attempt, Workload } from './workloads.js'

export interface LoadParts {
  readonly recorder: Recorder
  readonly ledger: Ledger
  readonly clients: readonly TortureClient[]
}

/** Longer than most changes of leaders, shorter than most partitions. */
const operationTimeoutMs = 3_000
const openingTimeoutMs = 30_000
const lastReadTimeoutMs = 20_000
const lastReadAttemptsMax = 5
const thinkTimeMs = 4
/** After a refusal, so that a cluster without a leader is not asked all the time. */
const restTimeMs = 40

/** The processes of some workloads, each of which asks one thing at a time. */
export class Load {
  readonly #parts: LoadParts
  readonly #workloads: readonly Workload[]
  readonly #random: SplittableRandom
  readonly reasons = new Map<string, number>()
  #isRunning = false
  #processes: Promise<void>[] = []
  #named = 0
  #done = 0

  constructor(parts: LoadParts, workloads: readonly Workload[], random: SplittableRandom) {
    this.#parts = parts
    this.#workloads = workloads
    this.#random = random
  }

  /** Calls that were answered. */
  get done(): number {
    return this.#done
  }

  /** Creates the tables and what is in them at first. */
  async open(): Promise<void> {
    const client = must(this.#parts.clients[0], 'a client')
    for (const sql of [ledgerSchema, ...this.#workloads.flatMap(({ schema }) => schema)]) {
      await expectOk(client.call([{ sql }], openingTimeoutMs))
    }
    for (const workload of this.#workloads) {
      const attempt = workload.opening()
      if (attempt === null) continue
      const open = this.#begin(this.#newProcess('opening'), workload, attempt)
      const answers = await expectOk(client.call(attempt.statements, openingTimeoutMs))
      this.#parts.recorder.end(open, 'ok', attempt.valuesOf(answers) ?? undefined)
    }
  }

  start(processesPerWorkload: number): void {
    this.#isRunning = true
    for (const [w, workload] of this.#workloads.entries()) {
      for (let i = 0; i < processesPerWorkload; i++) {
        const at = (w * processesPerWorkload + i) % this.#parts.clients.length
        const client = must(this.#parts.clients[at], 'a client')
        const random = this.#random.split(`${workload.name} ${i}`)
        this.#processes.push(this.#run(workload, client, random))
      }
    }
  }

  /** Resolves when every process has its last answer. */
  async stop(): Promise<void> {
    this.#isRunning = false
    await Promise.all(this.#processes)
    this.#processes = []
  }

  /** Everything is read once more, through each of the clients. */
  async readLast(clients: readonly TortureClient[]): Promise<void> {
    for (const client of clients) {
      for (const workload of this.#workloads) {
        for (const attempt of workload.lastReads()) await this.#readLast(workload, client, attempt)
      }
    }
  }

  async #readLast(workload: Workload, client: TortureClient, attempt: Attempt): Promise<void> {
    for (let tried = 1; ; tried++) {
      const open = this.#begin(this.#newProcess('last'), workload, attempt)
      const outcome = await client.call(attempt.statements, lastReadTimeoutMs)
      this.#end(open, attempt, outcome)
      if (outcome.kind === 'ok') return
      if (tried >= lastReadAttemptsMax) throw new Error(`the last read fails: ${outcome.code}`)
    }
  }

  async #run(workload: Workload, client: TortureClient, random: SplittableRandom): Promise<void> {
    let process = this.#newProcess(workload.name)
    while (this.#isRunning) {
      const attempt = workload.draw(random)
      const id = attempt.isWrite ? this.#parts.ledger.begin() : null
      const open = this.#begin(process, workload, attempt)
      const { ledger } = this.#parts
      const statements =
        id === null ? attempt.statements : [...attempt.statements, ledger.statement(id)]
      const outcome = await client.call(statements, operationTimeoutMs)
      if (id !== null) ledger.end(id, outcome.kind === 'executed' ? 'ok' : outcome.kind)
      this.#end(open, attempt, outcome)
      // Nobody knows what it did, or that it is over, so it is another one from here on.
      if (outcome.kind === 'info' || outcome.kind === 'executed') {
        process = this.#newProcess(workload.name)
      }
      await pause(outcome.kind === 'ok' ? thinkTimeMs : restTimeMs)
    }
  }

  #begin(process: string, workload: Workload, attempt: Attempt): OpenSteps {
    return this.#parts.recorder.begin(process, attempt.steps, workload.isTransactional)
  }

  #end(open: OpenSteps, attempt: Attempt, outcome: CallOutcome): void {
    const { recorder } = this.#parts
    if (outcome.kind !== 'ok') {
      this.reasons.set(outcome.code, (this.reasons.get(outcome.code) ?? 0) + 1)
      // A read without an answer has no effect that anybody could wait for.
      const isUndone = !attempt.isWrite || outcome.kind === 'fail'
      recorder.endUnanswered(open, isUndone ? 'fail' : 'info', outcome.code)
      return
    }
    this.#done++
    const values = attempt.valuesOf(outcome.answers)
    if (values === null) recorder.end(open, 'fail')
    else recorder.end(open, 'ok', values)
  }

  #newProcess(name: string): string {
    return `${name}-${++this.#named}`
  }
}

async function expectOk(call: Promise<CallOutcome>) {
  const outcome = await call
  if (outcome.kind === 'ok') return outcome.answers
  throw new Error(`the tables cannot be made: ${outcome.code}`)
}
