/** Whole runs by seed: a bank over some groups, faults of every kind, then peace. */
import type { GroupId, TransactionId } from '../../../src/core/ids.js'
import type { SplittableRandom } from '../../../src/core/splittable-random.js'
import { stampOf } from '../../../src/core/transaction-id.js'
import { decodeResults, type Operation, type Values } from './bank.js'
import { calm, World } from './world.js'

export interface SeedFailure {
  readonly seed: number
  readonly atMs: number
  readonly reason: string
}

export interface SeedsOutcome {
  readonly failure: SeedFailure | null
  readonly counts: Readonly<Record<string, number>>
  readonly commits: number
  readonly sums: number
}

const accountsPerGroup = 8
const openingBalance = 100
/** After the heal: elections, questions and repeated decisions have their time. */
export const restMs = 6_000

interface Branch {
  readonly group: GroupId
  readonly operations: readonly Operation[]
}

/** Runs seeds from `first` up to the first that fails. */
export function runSeeds(seeds: number, faultsMs: number, first = 1): SeedsOutcome {
  const counts: Record<string, number> = {}
  let commits = 0
  let sums = 0
  for (let seed = first; seed < first + seeds; seed++) {
    const run = new SeededRun(seed)
    try {
      run.run(faultsMs)
    } catch (error) {
      const reason = error instanceof Error ? `${error.message}\n${error.stack}` : String(error)
      return { failure: { seed, atMs: run.world.now, reason }, counts, commits, sums }
    }
    for (const [what, count] of Object.entries(run.world.counts)) {
      counts[what] = (counts[what] ?? 0) + count
    }
    commits += run.world.checks.commits
    sums += run.world.checks.sums.length
  }
  return { failure: null, counts, commits, sums }
}

export const accounts = (groups: number): Values[] =>
  Array.from({ length: groups }, () => {
    const names = Array.from({ length: accountsPerGroup }, (_, i) => `account ${i}`)
    return new Map(names.map((name) => [name, openingBalance]))
  })

export class SeededRun {
  readonly world: World
  readonly #random: SplittableRandom
  readonly #groupCount: number
  readonly #judged = new Set<TransactionId>()
  readonly #reads = new Set<TransactionId>()
  #isAtPeace = false

  constructor(seed: number) {
    const groupCount = 2 + (seed % 4)
    this.world = new World(seed, accounts(groupCount))
    this.#random = this.world.random.split('run')
    this.#groupCount = groupCount
  }

  run(faultsMs: number): void {
    const { world } = this
    const random = this.#random
    world.isSkewed = random.nextInt(3) === 0
    world.faults = {
      lossRate: random.nextFloat() * 0.15,
      duplicateRate: random.nextFloat() * 0.4,
      delayMaxMs: 1 + random.nextInt(40),
      strayRate: random.nextFloat() * 0.05,
      strayMaxMs: 1_500,
      misrouteRate: random.nextFloat()
    }
    world.start()
    this.#load()
    this.#nemesis()
    world.run(faultsMs)
    this.#isAtPeace = true
    world.faults = { ...calm }
    world.heal()
    world.run(faultsMs + restMs)
    const left = world.leftovers()
    if (left.length > 0) throw new Error(`after the heal: ${left.join('; ')}`)
    world.checks.atRest()
  }

  #load(): void {
    if (this.#isAtPeace) return
    const random = this.#random
    const { world } = this
    const choice = random.nextInt(12)
    if (choice < 8) this.#begin(this.#transfer(), world.newId(), 3)
    else if (choice < 10) this.#begin(this.#audit(), world.newId(), 5)
    else if (choice < 11) this.#plainTransfer()
    else {
      const group = random.nextInt(this.#groupCount) as GroupId
      world.linearizableRead(group, this.#account(), world.now + 300)
    }
    this.#judge()
    world.after(1 + random.nextInt(40), () => this.#load())
  }

  #begin(branches: readonly Branch[], transaction: TransactionId, attempts: number): void {
    const { world } = this
    const timeoutMs = 200 + this.#random.nextInt(1_500)
    const [first] = branches as [Branch]
    if (branches.every(({ operations }) => operations[0]?.kind === 'readAll')) {
      this.#reads.add(transaction)
    }
    if (!world.begin(transaction, branches, timeoutMs) || attempts === 1) return
    // A client that hears nothing may ask the next leader for the same again, other than it was.
    if (this.#random.nextInt(8) === 0 && !world.isSkewed) {
      const again = this.#transfer([first.group])
      world.after(this.#random.nextInt(250), () => {
        if (world.begin(transaction, again, timeoutMs)) this.#reads.delete(transaction)
      })
    }
    world.after(timeoutMs, () => {
      if (world.outcomes.get(transaction)?.outcome !== 'aborted' || this.#isAtPeace) return
      this.#begin(branches, world.newId(stampOf(transaction)), attempts - 1)
    })
  }

  /** Money from one account to others, in two groups or three. */
  #transfer(from: readonly GroupId[] = []): Branch[] {
    const random = this.#random
    const count = Math.min(this.#groupCount, 2 + random.nextInt(2))
    const others = this.#someGroups(this.#groupCount).filter((group) => !from.includes(group))
    const groups = [...from, ...others].slice(0, count)
    const amount = 1 + random.nextInt(10)
    return groups.map((group, i) => ({
      group,
      operations: [
        {
          kind: 'add',
          key: this.#account(),
          amount: i === 0 ? -amount * (count - 1) : amount
        },
        ...(random.nextInt(4) === 0 ? [{ kind: 'read', key: this.#account() } as const] : [])
      ]
    }))
  }

  /** Reads every account of every group, and moves money at times. */
  #audit(): Branch[] {
    return this.#someGroups(this.#groupCount).map((group) => ({
      group,
      operations: [{ kind: 'readAll' }]
    }))
  }

  #plainTransfer(): void {
    const random = this.#random
    const group = random.nextInt(this.#groupCount) as GroupId
    const amount = 1 + random.nextInt(5)
    this.world.plainWrite(
      group,
      [
        { kind: 'add', key: 'account 0', amount },
        { kind: 'add', key: this.#account(), amount: -amount }
      ],
      this.world.now + 400
    )
  }

  #judge(): void {
    for (const [transaction, { outcome, results }] of this.world.outcomes) {
      if (this.#judged.has(transaction)) continue
      this.#judged.add(transaction)
      if (outcome !== 'committed' || !this.#reads.has(transaction)) continue
      let sum = 0
      for (const bytes of results.values()) {
        if (bytes === null) throw new Error(`${transaction} has no results`)
        for (const [, value] of decodeResults(bytes)) sum += value
      }
      this.world.checks.sum(transaction, sum)
    }
  }

  #nemesis(): void {
    if (this.#isAtPeace) return
    const random = this.#random
    const { world } = this
    const group = world.group(random.nextInt(this.#groupCount) as GroupId)
    const kept = random.nextInt(group.proposals.length + 1)
    const choice = random.nextInt(6)
    if (choice < 2) world.crash(group, kept, 50 + random.nextInt(400))
    else if (choice < 4) world.depose(group, kept, random.nextInt(800))
    else if (choice === 4) this.#partition()
    else world.heal()
    world.after(20 + random.nextInt(400), () => this.#nemesis())
  }

  #partition(): void {
    const [from, to] = this.#someGroups(2) as [GroupId, GroupId]
    this.world.count('cuts')
    if (this.#random.nextInt(3) === 0) this.world.isolate(from)
    else this.world.cut(from, to)
    if (this.#random.nextInt(2) === 0) this.world.cut(to, from)
    this.world.after(100 + this.#random.nextInt(600), () => this.world.heal())
  }

  #account(): string {
    return `account ${this.#random.nextInt(accountsPerGroup)}`
  }

  #someGroups(count: number): GroupId[] {
    const all = Array.from({ length: this.#groupCount }, (_, id) => id as GroupId)
    for (let i = all.length - 1; i > 0; i--) {
      const j = this.#random.nextInt(i + 1)
      const held = all[i] as GroupId
      all[i] = all[j] as GroupId
      all[j] = held
    }
    return all.slice(0, count)
  }
}
