/**
 * Transactions over groups during all faults: transfers between accounts, balance sheets of all of
 * them, and lists that are appended to and read together, through any node and through clients
 * outside. Whoever is not told that the outcome is unknown was told the truth. In the end the
 * sheets and one order of all transactions, which is also that of real time, must explain what was
 * seen, and nothing may be in doubt.
 */
import {
  checkBankHistory,
  checkListAppend,
  type Transaction,
  type TransactionOperation
} from '../checkers/index.js'
import {
  type GroupId,
  NotStartedError,
  pick,
  type QueryResult,
  type Random,
  SkeinError
} from '../core/index.js'
import { isDoubtful, Unanswered } from './doubtful.js'
import { addToLedger, appendToLedger, createLedger, ledger, readLedger } from './kv-statements.js'
import type { OutsideClient } from './outside-client.js'
import type { RunningNode, SimulatedCluster } from './simulated-cluster.js'
import type { TransactionOptions } from './swarm-options.js'
import { Invariants, type Violations } from './violations.js'
import type { VirtualTime } from './virtual-clock.js'

export interface TransactionWorkloadComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly cluster: () => SimulatedCluster
  readonly outside: () => readonly OutsideClient[]
  /** The ledger is spread over all but the first. */
  readonly groups: number
  readonly violations: Violations
}

export interface TransactionCounts {
  committed: number
  failed: number
  unknown: number
}

const timeoutMs = 3_000
/** Whoever is impatient gives it at least so much. */
const timeoutMsMin = 100
/** Whoever has not answered by then has crashed or stands still. */
const silenceMs = 6_000
const retryMs = 100
/**
 * Between the ids of two rows: with it the first few are spread evenly over two groups and over
 * three. Neighbouring small numbers happen to be most of them in one.
 */
const rowStride = 1_168

interface Asked {
  readonly op: 'read' | 'append'
  readonly id: number
  readonly input: string | number | null
  readonly sql: string
}

/** Asks for one transaction at a time. */
interface Program {
  /** Null: it calls nodes itself. */
  readonly client: OutsideClient | null
  readonly number: number
}

type Asking = (settle: (outcome: readonly QueryResult[] | Error) => void) => void

export class TransactionWorkload {
  readonly counts: TransactionCounts = { committed: 0, failed: 0, unknown: 0 }
  readonly #components: TransactionWorkloadComponents
  readonly #options: TransactionOptions | null
  readonly #transactions: Transaction[] = []
  #instant = 0
  #elements = 0
  #open = 0
  #isStopped = false
  #isReady = false

  constructor(components: TransactionWorkloadComponents, options: TransactionOptions | null) {
    this.#components = components
    this.#options = options
  }

  start(): void {
    const { time } = this.#components
    if (this.#options !== null) time.post(time.now + retryMs, 'ledger', null, () => this.#found())
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Transactions that were begun and have no outcome yet. */
  get open(): number {
    return this.#open
  }

  /** Reads everything once more, as often as it takes. */
  readAll(): void {
    if (!this.#isReady || this.#options === null) return
    this.#finally(this.#sheet())
    this.#finally(this.#lists().map((id) => this.#read(id)))
  }

  judge(): void {
    if (this.#options === null) return
    const { violations } = this.#components
    const isList = ({ operations }: Transaction) =>
      operations.some(({ key }) => Number(key) >= this.#accountCount)
    this.#transactions.sort((a, b) => a.invokedAt - b.invokedAt)
    const verdict = checkListAppend(this.#transactions.filter(isList))
    for (const anomaly of verdict.anomalies) {
      violations.report(Invariants.StrictSerializability, JSON.stringify(anomaly))
    }
    const transfers = this.#transactions.filter((one) => !isList(one))
    const { faults } = checkBankHistory([this.#opening(), ...transfers], { mayBeNegative: true })
    for (const fault of faults) {
      violations.report(Invariants.ConstantSum, JSON.stringify(fault))
    }
  }

  /** Of started nodes: what is not at an end there. */
  unended(): string[] {
    const nodes = this.#options === null ? [] : this.#components.cluster().startedNodes()
    return nodes.flatMap(({ manager }) => {
      const { transactions } = manager.transactions.list()
      return transactions.map((report) => `${manager.nodeId}: ${JSON.stringify(report)}`)
    })
  }

  /** The table is spread, then created in each group that has a part of it. */
  #found(): void {
    const nodes = this.#components.cluster().startedNodes()
    if (nodes.length === 0) {
      this.#foundLater()
      return
    }
    const node = pick(this.#components.random, nodes)
    // Not left to what is known so early: that may be one group, over which nothing is spread.
    const groups = Array.from({ length: this.#components.groups - 1 }, (_, i) => (i + 1) as GroupId)
    this.#callNode(node, async ({ manager }) => {
      await manager.control.shardTable(ledger, { shardKey: 'id', groups, timeoutMs })
      for (const group of groups) await manager.executeQuery(createLedger, { group, timeoutMs })
      return []
    })((outcome) => {
      if (outcome instanceof Error) {
        this.#foundLater()
        return
      }
      this.#isReady = true
      for (let i = 0; i < this.#clientCount; i++) this.#think({ client: null, number: i }, 0)
      for (const [i, client] of this.#components.outside().entries()) {
        this.#think({ client, number: this.#clientCount + i }, 0)
      }
    })
  }

  #foundLater(): void {
    const { time } = this.#components
    if (!this.#isStopped) time.post(time.now + retryMs, 'ledger', null, () => this.#found())
  }

  #think(program: Program, generation: number): void {
    const { time, random } = this.#components
    const wait = -(this.#options?.thinkMsMean ?? 0) * Math.log(1 - random.nextFloat())
    time.post(time.now + wait, 'transaction', null, () =>
      this.#ask(program, generation, this.#draw())
    )
  }

  #ask(program: Program, generation: number, asked: readonly Asked[]): void {
    if (this.#isStopped) return
    const { client, number } = program
    const patienceMs = this.#drawPatience()
    this.#run(`t${number}.${generation}`, asked, { client, patienceMs }, (outcome) => {
      const lookedAt = outcome === 'ok' ? this.#drawLookBack(asked) : null
      if (lookedAt !== null) this.#ask(program, generation, [lookedAt])
      else this.#think(program, outcome === 'info' ? generation + 1 : generation)
    })
  }

  #drawPatience(): number {
    const { random } = this.#components
    if (random.nextFloat() >= (this.#options?.impatientShare ?? 0)) return timeoutMs
    return timeoutMsMin + random.nextInt(timeoutMs / 3)
  }

  /** A list that was changed just now: while its group is not told yet, whoever reads it waits. */
  #drawLookBack(asked: readonly Asked[]): Asked | null {
    const { random } = this.#components
    const changed = asked.filter(({ op, id }) => op === 'append' && id >= this.#accountCount)
    if (changed.length === 0 || random.nextFloat() >= (this.#options?.lookBackShare ?? 0)) {
      return null
    }
    return this.#read(pick(random, changed).id)
  }

  #draw(): Asked[] {
    const { random } = this.#components
    const what = random.nextFloat()
    if (what < 0.3) return this.#transfer()
    if (what < 0.42) return this.#sheet()
    return Array.from({ length: 1 + random.nextInt(4) }, () => {
      const id = pick(random, this.#lists())
      return random.nextInt(2) === 0 ? this.#read(id) : this.#append(id)
    })
  }

  #transfer(): Asked[] {
    const { random } = this.#components
    const from = random.nextInt(this.#accountCount)
    const to = (from + 1 + random.nextInt(this.#accountCount - 1)) % this.#accountCount
    const amount = 1 + random.nextInt(100)
    return [
      { op: 'append', id: from, input: -amount, sql: addToLedger(rowOf(from), -amount) },
      { op: 'append', id: to, input: amount, sql: addToLedger(rowOf(to), amount) }
    ]
  }

  #sheet(): Asked[] {
    return this.#accounts().map((id) => this.#read(id))
  }

  #read(id: number): Asked {
    return { op: 'read', id, input: null, sql: readLedger(rowOf(id)) }
  }

  #append(id: number): Asked {
    const element = `e${++this.#elements}`
    return { op: 'append', id, input: element, sql: appendToLedger(rowOf(id), element) }
  }

  #finally(asked: readonly Asked[]): void {
    const process = `last.${asked[0]?.id}.${this.#instant}`
    this.#run(process, asked, { client: null, patienceMs: timeoutMs }, (outcome) => {
      if (outcome !== 'ok') this.#finally(asked)
    })
  }

  #run(
    process: string,
    asked: readonly Asked[],
    { client, patienceMs }: Pick<Program, 'client'> & { readonly patienceMs: number },
    then: (outcome: Transaction['outcome']) => void
  ): void {
    const invokedAt = this.#instant++
    this.#open++
    const statements = asked.map(({ sql }) => ({ sql }))
    const ask =
      client === null
        ? this.#callAny(({ manager }) =>
            manager.executeQuery(statements, { timeoutMs: patienceMs })
          )
        : this.#callOutside(client, () => client.execute(statements, patienceMs))
    ask((answer) => {
      this.#open--
      this.#expectCode(answer)
      const outcome = outcomeOf(answer)
      const name = `T${this.#transactions.length}`
      const results = answer instanceof Error ? [] : answer
      const operations = asked.map((one, at) => this.#operationOf(one, results[at]))
      const completedAt = outcome === 'ok' ? this.#instant++ : Number.POSITIVE_INFINITY
      this.#transactions.push({ name, process, outcome, operations, invokedAt, completedAt })
      if (outcome === 'ok') this.counts.committed++
      else if (outcome === 'fail') this.counts.failed++
      else this.counts.unknown++
      then(outcome)
    })
  }

  #expectCode(answer: readonly QueryResult[] | Error): void {
    if (!(answer instanceof Error) || answer instanceof Unanswered) return
    if (answer instanceof SkeinError || 'code' in answer) return
    this.#components.violations.report(Invariants.Unhandled, answer.stack ?? answer.message)
  }

  #operationOf({ op, id, input }: Asked, result: QueryResult | undefined): TransactionOperation {
    const key = String(id)
    if (result === undefined || op === 'append') {
      return { op, key, input, output: result === undefined ? null : input }
    }
    const found = result.rows[0]?.[0]
    if (id < this.#accountCount) return { op, key, input, output: Number(found ?? 0) }
    const elements = String(found ?? '').split(',')
    return { op, key, input, output: elements.filter((element) => element !== '') }
  }

  /** Every account begins with nothing, and may be overdrawn. */
  #opening(): Transaction {
    const open = { op: 'write', input: 0, output: 0 } as const
    const operations = this.#accounts().map((id) => ({ ...open, key: String(id) }))
    const at = { invokedAt: -2, completedAt: -1 }
    return { name: 'opening', process: 'opening', outcome: 'ok', operations, ...at }
  }

  #callAny(call: (node: RunningNode) => Promise<readonly QueryResult[]>): Asking {
    const { cluster, random } = this.#components
    const nodes = cluster().startedNodes()
    if (nodes.length > 0) return this.#callNode(pick(random, nodes), call)
    return (settle) => this.#later(retryMs, () => settle(new NotStartedError('nobody is there')))
  }

  #callNode(
    node: RunningNode,
    call: (node: RunningNode) => Promise<readonly QueryResult[]>
  ): Asking {
    const { time } = this.#components
    return (then) => {
      const settle = once(then)
      node.process.onExit(() => settle(new Unanswered('the node crashed')))
      this.#later(silenceMs, () => settle(new Unanswered('no answer')))
      time.post(time.now, 'transaction', node.process, () => {
        call(node).then(settle, settle)
      })
    }
  }

  #callOutside(client: OutsideClient, call: () => Promise<readonly QueryResult[]>): Asking {
    const { time, violations } = this.#components
    return (then) => {
      let isOpen = true
      const settle = once((outcome: readonly QueryResult[] | Error) => {
        isOpen = false
        then(outcome)
      })
      this.#later(silenceMs, () => {
        if (!isOpen) return
        const detail = `${client.process.name} has no answer to a transaction`
        violations.report(Invariants.Liveness, detail)
      })
      time.post(time.now, 'transaction', client.process, () => {
        call().then(settle, settle)
      })
    }
  }

  #later(ms: number, run: () => void): void {
    const { time } = this.#components
    time.post(time.now + ms, 'transaction', null, run)
  }

  get #accountCount(): number {
    return this.#options?.accounts ?? 0
  }

  get #clientCount(): number {
    return this.#options?.clients ?? 0
  }

  #accounts(): number[] {
    return Array.from({ length: this.#accountCount }, (_, id) => id)
  }

  #lists(): number[] {
    const count = this.#options?.lists ?? 0
    return Array.from({ length: count }, (_, at) => this.#accountCount + at)
  }
}

const rowOf = (id: number): number => id * rowStride

function outcomeOf(answer: readonly QueryResult[] | Error): Transaction['outcome'] {
  if (!(answer instanceof Error)) return 'ok'
  return answer instanceof Unanswered || isDoubtful(answer) ? 'info' : 'fail'
}

function once<T>(then: (outcome: T) => void): (outcome: T) => void {
  let isOpen = true
  return (outcome) => {
    if (!isOpen) return
    isOpen = false
    then(outcome)
  }
}
