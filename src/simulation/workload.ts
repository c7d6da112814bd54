/**
 * Clients of the cluster: each has one operation at a time, sent to any node that is up, and
 * tries again elsewhere, under the same serial, until it has an answer. What they saw is the
 * history that the linearizability checker judges. Values are unique, and a key is replaced by a
 * fresh one after a while, so that no key's history grows beyond what can be decided.
 */
import type { HistoryEvent, HistoryValue, OperationKind } from '../checkers/index.js'
import {
  type ClientId,
  type ClientTag,
  type GroupId,
  hasCode,
  Priorities,
  type Priority,
  pick,
  type QueryResult,
  type Random,
  type Serial,
  SkeinError,
  toClientId
} from '../core/index.js'
import { isDoubtful } from './doubtful.js'
import type { OutsideClient } from './outside-client.js'
import type { RunningNode, SimulatedCluster } from './simulated-cluster.js'
import type { SwarmOptions } from './swarm-options.js'
import { Invariants, type Violations } from './violations.js'
import type { VirtualTime } from './virtual-clock.js'

export interface WorkloadComponents {
  readonly time: VirtualTime
  readonly random: Random
  readonly cluster: SimulatedCluster
  /** The highest index of a group that any node has applied by now. */
  readonly appliedIndex: (group: GroupId) => number
  /** Keys are spread over the groups. */
  readonly groups: number
  readonly violations: Violations
  /** Each gets a client of the workload of its own. */
  readonly outside: readonly OutsideClient[]
}

export interface OperationCounts {
  ok: number
  failed: number
  unknown: number
  attempts: number
}

/** How long one attempt may take, by the node's own word. */
const attemptTimeoutMs = 2_000
/** A client whose node said nothing at all goes elsewhere after this. */
const silenceTimeoutMs = 3_000
/** A client gives an operation up after this; its outcome is then unknown. */
const patienceMs = 12_000
const retryPauseMs = 40
/** The deadline that a program outside of the cluster gives its client, and what it forgives. */
const outsideTimeoutMs = 5_000
const outsideGraceMs = 500

export class Workload {
  readonly history: HistoryEvent[] = []
  readonly counts: OperationCounts = { ok: 0, failed: 0, unknown: 0, attempts: 0 }
  /** Code of an answer → how often. */
  readonly answers = new Map<string, number>()
  readonly #components: WorkloadComponents
  readonly #options: SwarmOptions['workload']
  readonly #keys: { name: string; operations: number }[]
  readonly #clients: Client[]
  #keyCounter = 0

  constructor(components: WorkloadComponents, options: SwarmOptions['workload']) {
    this.#components = components
    this.#options = options
    this.#keys = Array.from({ length: options.keys }, () => this.#freshKey())
    const inside = Array.from({ length: options.clients }, (_, i) => this.#buildClient(i, null))
    const outside = components.outside.map((client, i) =>
      this.#buildClient(options.clients + i, client)
    )
    this.#clients = [...inside, ...outside]
  }

  /** Every key that was ever used. */
  get keyCount(): number {
    return this.#keyCounter
  }

  /** Operations that were begun and have no outcome yet. */
  get open(): number {
    return this.#clients.filter((client) => client.isBusy).length
  }

  start(): void {
    for (const client of this.#components.outside) client.start()
    for (const client of this.#clients) client.start()
  }

  /** No new operations; the ones begun are carried on. */
  stop(): void {
    for (const client of this.#clients) client.stop()
  }

  /** Reads every key that was ever used, through all clients at once. */
  readAll(): void {
    const names = Array.from({ length: this.#keyCounter }, (_, i) => keyName(i))
    this.#clients.forEach((client, at) => {
      client.queueReads(names.filter((_, i) => i % this.#clients.length === at))
    })
  }

  #buildClient(number: number, outside: OutsideClient | null): Client {
    const random = this.#components.random.split(`client ${number}`)
    const components = { ...this.#components, random, board: this, outsideClient: outside }
    return new Client(components, { number, ...this.#options })
  }

  nextKey(random: Random): string {
    const at = random.nextInt(this.#keys.length)
    let key = this.#keys[at] as { name: string; operations: number }
    if (key.operations >= this.#options.operationsPerKey) {
      key = this.#freshKey()
      this.#keys[at] = key
    }
    key.operations++
    return key.name
  }

  #freshKey(): { name: string; operations: number } {
    return { name: keyName(this.#keyCounter++), operations: 0 }
  }
}

const keyName = (number: number): string => `${number % 3 === 0 ? 's' : 'k'}${number}`

/** Keys that are only appended to: each element must be there in the end, once. */
export const isSetKey = (key: string): boolean => key.startsWith('s')

/** Of the group that has the key. */
export const groupOfKey = (key: string, groups: number): GroupId => {
  const number = Number(key.slice(1))
  return ((number + Math.floor(number / 3)) % groups) as GroupId
}

interface Operation {
  readonly op: OperationKind
  readonly key: string
  readonly group: GroupId
  readonly value: HistoryValue
  readonly begunAt: number
  /** Null: the node that is asked numbers it, and it is sent to no other. */
  readonly serial: number | null
  readonly priority: Priority
}

interface ClientComponents extends WorkloadComponents {
  readonly board: Workload
  /** Null: it calls a node itself, and numbers and retries its writes itself. */
  readonly outsideClient: OutsideClient | null
}

class Client {
  readonly #components: ClientComponents
  readonly #time: VirtualTime
  readonly #cluster: SimulatedCluster
  readonly #random: Random
  readonly #board: Workload
  readonly #options: SwarmOptions['workload'] & { readonly number: number }
  readonly #reads: string[] = []
  /** The last value it saw of a key: what a compare-and-set expects. */
  readonly #seen = new Map<string, string>()
  #generation = 0
  #serial = 0
  #values = 0
  #current: Operation | null = null
  #attempt = 0
  #isStopped = false
  /** Before its first write to a group, a client makes itself known to it. */
  readonly #registered = new Set<GroupId>()

  constructor(
    components: ClientComponents,
    options: SwarmOptions['workload'] & { readonly number: number }
  ) {
    this.#components = components
    this.#time = components.time
    this.#cluster = components.cluster
    this.#random = components.random
    this.#board = components.board
    this.#options = options
  }

  get isBusy(): boolean {
    return this.#current !== null || this.#reads.length > 0
  }

  start(): void {
    this.#think()
  }

  stop(): void {
    this.#isStopped = true
  }

  queueReads(keys: readonly string[]): void {
    this.#reads.push(...keys)
    if (this.#current === null) this.#next()
  }

  get #process(): string {
    return `c${this.#options.number}.${this.#generation}`
  }

  #think(): void {
    const wait = -this.#options.thinkMsMean * Math.log(1 - this.#random.nextFloat())
    this.#later(wait, () => {
      if (this.#current === null) this.#next()
    })
  }

  #next(): void {
    const key = this.#reads.shift()
    if (key !== undefined) this.#begin('read', key, null)
    else if (!this.#isStopped) this.#beginRandom()
  }

  #beginRandom(): void {
    const key = this.#board.nextKey(this.#random)
    const value = `${this.#options.number}.${this.#generation}.${++this.#values}`
    const seen = this.#seen.get(key)
    if (this.#random.nextFloat() < this.#options.readShare) this.#begin('read', key, null)
    else if (isSetKey(key)) this.#begin('append', key, `,${value}`)
    else if (seen !== undefined && this.#random.nextInt(4) === 0) {
      this.#begin('cas', key, [seen, value])
    } else if (this.#random.nextInt(3) === 0) this.#begin('write', key, value)
    else this.#begin('append', key, `,${value}`)
  }

  #begin(op: OperationKind, key: string, value: HistoryValue): void {
    const isUnnumbered = op === 'read' || this.#random.nextFloat() < this.#options.unnumberedShare
    const serial = isUnnumbered ? null : ++this.#serial
    const priority = pick(this.#random, Object.values(Priorities))
    const group = groupOfKey(key, this.#components.groups)
    this.#current = { op, key, group, value, begunAt: this.#time.now, serial, priority }
    this.#board.history.push({ process: this.#process, type: 'invoke', op, key, value })
    this.#try()
  }

  #try(): void {
    const operation = this.#current
    if (operation === null) return
    const attempt = ++this.#attempt
    if (this.#time.now - operation.begunAt > patienceMs) {
      this.#end('info', operation.value)
      return
    }
    const { outsideClient } = this.#components
    if (outsideClient !== null) {
      this.#tryOutside(outsideClient, operation, attempt)
      return
    }
    const nodes = this.#cluster.startedNodes().filter(({ process }) => !process.paused)
    if (nodes.length === 0) {
      this.#later(retryPauseMs, () => this.#try())
      return
    }
    this.#board.counts.attempts++
    const node = this.#choose(nodes)
    const answer = (outcome: QueryResult | Error) => {
      if (attempt === this.#attempt) this.#handleAnswer(operation, outcome)
    }
    node.process.onExit(() => answer(new Error('the node crashed')))
    this.#later(silenceTimeoutMs, () => answer(new Error('the node is silent')))
    this.#time.post(this.#time.now, 'client.query', node.process, () => {
      if (attempt !== this.#attempt) return
      this.#ask(node, operation).then(answer, (error) => answer(toError(error)))
    })
  }

  /** The client numbers, chooses and retries; it owes an answer by its deadline. */
  #tryOutside(client: OutsideClient, operation: Operation, attempt: number): void {
    this.#board.counts.attempts++
    const answer = (outcome: QueryResult | Error) => {
      if (attempt === this.#attempt) this.#handleOutside(operation, outcome)
    }
    this.#later(outsideTimeoutMs + outsideGraceMs, () => {
      if (attempt !== this.#attempt) return
      const detail = `${this.#process} has no answer to ${operation.op} ${operation.key}`
      this.#components.violations.report(Invariants.Liveness, detail)
    })
    this.#time.post(this.#time.now, 'client.query', client.process, () => {
      const { group } = operation
      const appliedBefore = this.#components.appliedIndex(group)
      client.query(statementOf(operation), group, outsideTimeoutMs).then(
        (result) => {
          this.#checkFresh(operation, result, appliedBefore, client.process.name)
          answer(result)
        },
        (error) => answer(toError(error))
      )
    })
  }

  /** What the client does not call unknown has not happened, and never will. */
  #handleOutside(operation: Operation, outcome: QueryResult | Error): void {
    const isRead = operation.op === 'read'
    if (!(outcome instanceof Error) || isRead || isDoubtful(outcome)) {
      this.#handleAnswer(operation, outcome)
      return
    }
    this.#count('code' in outcome ? String(outcome.code) : outcome.message)
    this.#end('fail', operation.value)
  }

  /** Whoever believes to lead, as often as the seed wants: an old leader that is cut off, too. */
  #choose(nodes: readonly RunningNode[]): RunningNode {
    const wantsLeader = this.#random.nextFloat() < this.#options.leaderShare
    if (!wantsLeader) return pick(this.#random, nodes)
    const leaders = this.#cluster.leaders()
    const leading = nodes.filter(({ process }) => leaders.includes(process.host))
    return pick(this.#random, leading.length > 0 ? leading : nodes)
  }

  async #ask(node: RunningNode, operation: Operation): Promise<QueryResult> {
    const isRead = operation.op === 'read'
    const { group } = operation
    const appliedBefore = this.#components.appliedIndex(group)
    if (operation.serial !== null && !this.#registered.has(group)) {
      const generation = this.#generation
      const registration = { timeoutMs: attemptTimeoutMs, group }
      await node.manager.registerClient(toClientId(this.#process), registration)
      if (generation === this.#generation) this.#registered.add(group)
    }
    const { number } = this.#options
    const result = await node.manager.executeQuery(statementOf(operation), {
      timeoutMs: attemptTimeoutMs,
      priority: operation.priority,
      key: operation.key,
      group,
      ...(number % 2 === 0 ? { session: `s${number}` } : {}),
      ...(isRead ? { consistency: 'linearizable' } : {}),
      ...(isRead || operation.serial === null ? {} : { client: this.#tagOf(operation.serial) })
    })
    this.#checkFresh(operation, result, appliedBefore, node.process.name)
    return result
  }

  #checkFresh(
    { op, key }: Operation,
    { index }: QueryResult,
    appliedBefore: number,
    through: string
  ): void {
    if (op !== 'read' || index >= appliedBefore) return
    const read = `reads ${key} at index ${index} through ${through}`
    const detail = `${this.#process} ${read}; ${appliedBefore} was applied before it asked`
    this.#components.violations.report(Invariants.StaleRead, detail)
  }

  #tagOf(number: number): ClientTag {
    const clientId: ClientId = toClientId(this.#process)
    const serial = number as Serial
    return { clientId, serial, answeredBelow: serial }
  }

  #handleAnswer(operation: Operation, outcome: QueryResult | Error): void {
    const { op, key, value } = operation
    if (outcome instanceof Error) {
      this.#handleError(operation, outcome)
      return
    }
    this.#count('ok')
    if (op === 'read') {
      const read = outcome.rows[0]?.[0]
      if (typeof read === 'string') this.#seen.set(key, read)
      this.#end('ok', typeof read === 'string' ? read : null)
      return
    }
    this.#end(op === 'cas' && outcome.rowsAffected === 0 ? 'fail' : 'ok', value)
  }

  #handleError(operation: Operation, error: Error): void {
    this.#count(error instanceof SkeinError || 'code' in error ? String(error.code) : error.message)
    // The answers below end a write for good: either it was executed, or it cannot be told any
    // more.
    if (hasCode(error, 'ERR_SKEIN_RESULT_NOT_KEPT')) {
      this.#end(operation.op === 'cas' ? 'info' : 'ok', operation.value)
    } else if (
      hasCode(error, 'ERR_SKEIN_CLIENT_EXPIRED') ||
      hasCode(error, 'ERR_SKEIN_SERIAL_FORGOTTEN') ||
      (this.#components.outsideClient !== null && hasCode(error, 'ERR_SKEIN_INDETERMINATE'))
    ) {
      this.#end('info', operation.value)
    } else if (operation.op !== 'read' && operation.serial === null && !isNothingDone(error)) {
      this.#end('info', operation.value)
    } else {
      this.#attempt++
      this.#later(retryPauseMs * (0.5 + this.#random.nextFloat()), () => this.#try())
    }
  }

  #end(type: 'ok' | 'fail' | 'info', value: HistoryValue): void {
    const operation = this.#current
    if (operation === null) return
    const { op, key } = operation
    this.#board.history.push({ process: this.#process, type, op, key, value })
    this.#current = null
    this.#attempt++
    if (type === 'info') {
      this.#board.counts.unknown++
      this.#generation++
      this.#serial = 0
      this.#registered.clear()
    } else if (type === 'fail') this.#board.counts.failed++
    else this.#board.counts.ok++
    if (this.#reads.length > 0) this.#later(0, () => this.#current === null && this.#next())
    else this.#think()
  }

  #count(answer: string): void {
    this.#board.answers.set(answer, (this.#board.answers.get(answer) ?? 0) + 1)
  }

  #later(ms: number, run: () => void): void {
    this.#time.post(this.#time.now + ms, 'client', null, run)
  }
}

/** By the contract of the error: safe to send again, or out of time before it began. */
const isNothingDone = (error: Error): boolean =>
  error instanceof SkeinError && (error.retryable || error.code === 'ERR_SKEIN_TIMEOUT')

function statementOf({ op, key, value }: Operation): string {
  switch (op) {
    case 'read':
      return `get ${key}`
    case 'write':
      return `set ${key} ${value}`
    case 'append':
      return `append ${key} ${value}`
    case 'cas': {
      const [expected, wanted] = value as readonly [string, string]
      return `cas ${key} ${expected} ${wanted}`
    }
  }
}

const toError = (error: unknown): Error =>
  error instanceof Error ? error : new Error(String(error))
