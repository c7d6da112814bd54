import type { HistoryValue } from '../../src/checkers/index.js'
import { pick, type SplittableRandom, type Statement } from '../../src/core/index.js'
import type { Step } from './recorder.js'
import type { Answer } from './torture-client.js'

/** One call of a process: what it asks, and what its answers mean. */
export interface Attempt {
  readonly steps: readonly Step[]
  readonly statements: readonly Statement[]
  readonly isWrite: boolean
  /** Values of the steps when it was done; null: it found nothing to do. */
  valuesOf(answers: readonly Answer[]): readonly HistoryValue[] | null
}

export interface Workload {
  readonly name: WorkloadName
  readonly schema: readonly string[]
  /** Whether what a process does at once is a transaction in the history. */
  readonly isTransactional: boolean
  /** Before anything else; null: nothing. */
  opening(): Attempt | null
  draw(random: SplittableRandom): Attempt
  /** Reads of everything, which nothing follows. */
  lastReads(): readonly Attempt[]
}

export const workloadNames = ['register', 'list-append', 'bank'] as const
export type WorkloadName = (typeof workloadNames)[number]

/** A key has seen enough then, and a fresh one takes its place. */
const operationsPerKeyMax = 500
const lastReadsPerCall = 16

/** Keys in use, each until it has had its operations. */
class Keys {
  readonly #prefix: string
  readonly #counts = new Map<string, number>()
  readonly #inUse: string[] = []
  readonly all: string[] = []

  constructor(prefix: string, count: number) {
    this.#prefix = prefix
    for (let i = 0; i < count; i++) this.#inUse.push(this.#fresh())
  }

  draw(random: SplittableRandom): string {
    const at = random.nextInt(this.#inUse.length)
    const key = this.#inUse[at] as string
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    if (count >= operationsPerKeyMax) this.#inUse[at] = this.#fresh()
    return key
  }

  #fresh(): string {
    const key = `${this.#prefix}/${this.all.length + 1}`
    this.all.push(key)
    return key
  }
}

const readOf = (key: string): Step => ({ op: 'read', key, value: null })

const singleRead = (key: string, read: ReadWith): Attempt => ({
  steps: [readOf(key)],
  statements: [read.statement(key)],
  isWrite: false,
  valuesOf: ([answer]) => [read.valueOf(answer)]
})

interface ReadWith {
  statement(key: string): Statement
  valueOf(answer: Answer | undefined): HistoryValue
}

/** Reads, writes and compare-and-sets of single keys. */
export function registerWorkload(): Workload {
  const keys = new Keys('register', 3)
  const seen = new Map<string, number>()
  let written = 0
  const read: ReadWith = {
    statement: (key) => ({ sql: 'SELECT value FROM register WHERE key = ?', params: [key] }),
    valueOf: (answer) => (answer?.rows[0]?.[0] as number | undefined) ?? null
  }
  return {
    name: 'register',
    schema: ['CREATE TABLE IF NOT EXISTS register (key TEXT PRIMARY KEY, value INTEGER)'],
    isTransactional: false,
    opening: () => null,
    draw(random) {
      const key = keys.draw(random)
      const kind = pick(random, ['read', 'read', 'write', 'cas'] as const)
      const expected = seen.get(key)
      if (kind === 'read') {
        const attempt = singleRead(key, read)
        return {
          ...attempt,
          valuesOf(answers) {
            const values = attempt.valuesOf(answers)
            if (typeof values?.[0] === 'number') seen.set(key, values[0])
            return values
          }
        }
      }
      const value = ++written
      return kind === 'write' || expected === undefined
        ? registerWrite(key, value)
        : compareAndSet(key, expected, value)
    },
    lastReads: () => keys.all.map((key) => singleRead(key, read))
  }
}

const registerWrite = (key: string, value: number): Attempt => ({
  steps: [{ op: 'write', key, value }],
  statements: [
    {
      sql:
        'INSERT INTO register (key, value) VALUES (?, ?) ' +
        'ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      params: [key, value]
    }
  ],
  isWrite: true,
  valuesOf: () => [value]
})

const compareAndSet = (key: string, expected: number, value: number): Attempt => ({
  steps: [{ op: 'cas', key, value: [expected, value] }],
  statements: [
    {
      sql: 'UPDATE register SET value = ? WHERE key = ? AND value = ?',
      params: [value, key, expected]
    }
  ],
  isWrite: true,
  valuesOf: ([answer]) => (answer?.rowsAffected === 1 ? [[expected, value]] : null)
})

/** Transactions that append to lists and read them, each one command. */
export function listAppendWorkload(): Workload {
  const keys = new Keys('list', 4)
  let appended = 0
  return {
    name: 'list-append',
    schema: ['CREATE TABLE IF NOT EXISTS list (key TEXT PRIMARY KEY, elements TEXT NOT NULL)'],
    isTransactional: true,
    opening: () => null,
    draw(random) {
      const steps = Array.from({ length: 1 + random.nextInt(4) }, (): Step => {
        const key = keys.draw(random)
        return random.nextInt(2) === 0 ? readOf(key) : { op: 'append', key, value: ++appended }
      })
      return listTransaction(steps)
    },
    lastReads: () =>
      chunksOf(keys.all, lastReadsPerCall).map((chunk) => listTransaction(chunk.map(readOf)))
  }
}

const listTransaction = (steps: readonly Step[]): Attempt => ({
  steps,
  statements: steps.map(({ op, key, value }) =>
    op === 'read'
      ? { sql: 'SELECT elements FROM list WHERE key = ?', params: [key] }
      : {
          sql:
            'INSERT INTO list (key, elements) VALUES (?, ?) ON CONFLICT (key) ' +
            "DO UPDATE SET elements = elements || ',' || excluded.elements",
          params: [key, String(value)]
        }
  ),
  isWrite: steps.some(({ op }) => op === 'append'),
  valuesOf: (answers) =>
    steps.map(({ op, value }, i) => (op === 'read' ? elementsOf(answers[i]) : value))
})

const elementsOf = (answer: Answer | undefined): number[] => {
  const text = (answer?.rows[0]?.[0] as string | undefined) ?? ''
  return text === '' ? [] : text.split(',').map(Number)
}

const accounts = Array.from({ length: 8 }, (_, i) => `bank/${i + 1}`)
/** A number, so that an account can be locked alone where they are in several groups. */
const numberOf = (account: string): number => accounts.indexOf(account) + 1
const openingBalance = 100
const transferMax = 40

/** Transfers between accounts that may not be overdrawn, and balance sheets. */
export function bankWorkload(): Workload {
  return {
    name: 'bank',
    schema: [
      'CREATE TABLE IF NOT EXISTS account ' +
        '(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))'
    ],
    isTransactional: true,
    opening: () => ({
      steps: accounts.map((key) => ({ op: 'write', key, value: openingBalance })),
      statements: accounts.map((account) => ({
        sql: 'INSERT INTO account (id, balance) VALUES (?, ?)',
        params: [numberOf(account), openingBalance]
      })),
      isWrite: true,
      valuesOf: () => accounts.map(() => openingBalance)
    }),
    draw(random) {
      if (random.nextInt(3) === 0) return balanceSheet()
      const from = pick(random, accounts)
      const to = pick(
        random,
        accounts.filter((account) => account !== from)
      )
      return transfer(from, to, 1 + random.nextInt(transferMax))
    },
    lastReads: () => [balanceSheet()]
  }
}

const balanceSheet = (): Attempt => ({
  steps: accounts.map(readOf),
  statements: accounts.map((account) => ({
    sql: 'SELECT balance FROM account WHERE id = ?',
    params: [numberOf(account)]
  })),
  isWrite: false,
  valuesOf: (answers) =>
    accounts.map((_, i) => (answers[i]?.rows[0]?.[0] as number | undefined) ?? null)
})

function transfer(from: string, to: string, amount: number): Attempt {
  const change = (account: string, by: number): Statement => ({
    sql: 'UPDATE account SET balance = balance + ? WHERE id = ?',
    params: [by, numberOf(account)]
  })
  return {
    steps: [
      { op: 'append', key: from, value: -amount },
      { op: 'append', key: to, value: amount }
    ],
    statements: [change(from, -amount), change(to, amount)],
    isWrite: true,
    valuesOf: () => [-amount, amount]
  }
}

export const makeWorkload = (name: WorkloadName): Workload => {
  switch (name) {
    case 'register':
      return registerWorkload()
    case 'list-append':
      return listAppendWorkload()
    case 'bank':
      return bankWorkload()
  }
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = []
  for (let from = 0; from < items.length; from += size) chunks.push(items.slice(from, from + size))
  return chunks
}
