import type { HistoryValue } from '../../../src/checkers/index.js'
import { pick, type SplittableRandom } from '../../../src/core/index.js'
import { HistoryWriter, type OpenTransaction, type Step } from './history-writer.js'

interface Client {
  process: string
  open: OpenTransaction | null
  /** Null: not executed yet. */
  answers: HistoryValue[] | null
  outcome: 'ok' | 'fail' | 'info'
}

/**
 * Clients of a database that does one transaction after the other: each takes effect between its
 * beginning and its end, some fail, and some get no answer.
 */
export class ListStore {
  readonly history = new HistoryWriter()
  readonly #random: SplittableRandom
  readonly #clients: Client[]
  readonly #keys: readonly string[]
  readonly #lists = new Map<string, HistoryValue[]>()
  #elements = 0
  #renamed = 0

  constructor(random: SplittableRandom, clients = 5, keys = 4) {
    this.#random = random
    this.#keys = Array.from({ length: keys }, (_, i) => `list/${i}`)
    this.#clients = Array.from({ length: clients }, (_, i) => this.#idle(`p${i}`))
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) this.#step(pick(this.#random, this.#clients))
  }

  /** Everything under way ends, and every list is read. */
  finish(): void {
    for (const client of this.#clients) {
      while (client.open !== null) this.#step(client)
    }
    const reads = this.#keys.map((key): Step => ['read', key])
    const open = this.history.begin('last', reads)
    this.history.end(open, 'ok', this.#execute(reads))
  }

  #step(client: Client): void {
    if (client.open === null) {
      client.open = this.history.begin(client.process, this.#draw())
      client.outcome = pick(this.#random, ['ok', 'ok', 'ok', 'ok', 'ok', 'fail', 'info'] as const)
      // One of unknown outcome may never take effect.
      const isNever = client.outcome === 'fail' || this.#random.nextInt(4) === 0
      client.answers = client.outcome !== 'ok' && isNever ? [] : null
    } else if (client.answers === null) {
      client.answers = this.#execute(client.open.steps)
    } else {
      this.history.end(client.open, client.outcome, client.answers)
      const isLost = client.outcome === 'info'
      Object.assign(client, this.#idle(isLost ? `q${++this.#renamed}` : client.process))
    }
  }

  #draw(): Step[] {
    return Array.from({ length: 1 + this.#random.nextInt(4) }, (): Step => {
      const key = pick(this.#random, this.#keys)
      return this.#random.nextInt(2) === 0 ? ['read', key] : ['append', key, ++this.#elements]
    })
  }

  #execute(steps: readonly Step[]): HistoryValue[] {
    const answers: HistoryValue[] = []
    for (const [op, key, value = null] of steps) {
      const list = this.#lists.get(key) ?? []
      this.#lists.set(key, list)
      if (op === 'read') answers.push([...list])
      else list.push(value)
    }
    return answers
  }

  #idle(process: string): Client {
    return { process, open: null, answers: null, outcome: 'ok' }
  }
}
