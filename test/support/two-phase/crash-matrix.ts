/**
 * One transfer between three groups, its coordinator and one participant crashing at chosen points,
 * under each shape of partition (T-01). Group 0 coordinates.
 */
import type { GroupId, TransactionId } from '../../../src/core/ids.js'
import { accounts, restMs } from './run-seeds.js'
import { type Moment, World } from './world.js'

export const coordinatorPoints = [
  'before prepare',
  'between prepares',
  'all prepared, not decided',
  'decision proposed, not committed',
  'decided, nothing sent',
  'partly sent',
  'all sent, no acknowledgement',
  'some acknowledgements',
  'before it forgets'
] as const
export type CoordinatorPoint = (typeof coordinatorPoints)[number]

export const participantPoints = [
  'before the branch is logged',
  'prepared, before the vote',
  'before the decision is logged',
  'decided, before the acknowledgement'
] as const
export type ParticipantPoint = (typeof participantPoints)[number]

/** Pairs of groups whose messages are lost from the coordinator's crash on, or from the start. */
export const partitions: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  none: [],
  'coordinator from one': both(0, 1),
  'coordinator from the other': both(0, 2),
  'coordinator from all': [...both(0, 1), ...both(0, 2)],
  'to one, one way': [[0, 1]],
  'from one, one way': [[1, 0]],
  'to the other, one way': [[0, 2]],
  'from the other, one way': [[2, 0]],
  'one from all': [...both(1, 0), ...both(1, 2)]
}

export interface MatrixCase {
  readonly coordinator: CoordinatorPoint
  readonly participant: ParticipantPoint
  readonly partition: string
  /** Whether what was proposed and not committed at a crash is in the next leader's log. */
  readonly keepsProposals: boolean
}

export interface MatrixOutcome {
  /** Null: nobody is left to know; the client has to ask by id. */
  readonly told: string | null
  readonly decision: 'commit' | 'abort' | null
  readonly reached: { readonly coordinator: boolean; readonly participant: boolean }
}

const partitionMs = 1_000

function both(a: number, b: number): (readonly [number, number])[] {
  return [
    [a, b],
    [b, a]
  ]
}

/** @throws when an invariant breaks, or something is left after the heal */
export function runCase(seed: number, one: MatrixCase): MatrixOutcome {
  const world = new World(seed, accounts(3))
  world.start()
  const script = new Script(world, one)
  world.onMoment = (moment) => script.handle(moment)
  const transaction = world.newId()
  world.after(10, () => script.begin(transaction))
  world.run(partitionMs + 500)
  world.heal()
  world.run(partitionMs + 500 + restMs)
  const left = world.leftovers()
  if (left.length > 0) throw new Error(`after the heal: ${left.join('; ')}`)
  world.checks.atRest()
  const { decision } = world.checks.fate(transaction)
  const told = world.outcomes.get(transaction)?.outcome ?? null
  return { told, decision, reached: script.reached }
}

class Script {
  readonly #world: World
  readonly #case: MatrixCase
  readonly reached = { coordinator: false, participant: false }
  #prepares = 0
  #commits = 0

  constructor(world: World, one: MatrixCase) {
    this.#world = world
    this.#case = one
  }

  begin(transaction: TransactionId): void {
    const add = (id: number, amount: number) => ({
      group: id as GroupId,
      operations: [{ kind: 'add', key: 'account 0', amount } as const]
    })
    this.#world.begin(transaction, [add(0, -20), add(1, 10), add(2, 10)], 800)
  }

  handle(moment: Moment): void {
    this.#count(moment)
    if (!this.reached.coordinator && moment.leader.group === 0 && this.#isCoordinatorAt(moment)) {
      this.reached.coordinator = true
      this.#partition()
      this.#crash(0)
    }
    if (!this.reached.participant && moment.leader.group === 1 && this.#isParticipantAt(moment)) {
      this.reached.participant = true
      this.#crash(1)
    }
  }

  #crash(id: number): void {
    const group = this.#world.group(id as GroupId)
    this.#world.crash(group, this.#case.keepsProposals ? group.proposals.length : 0)
  }

  #partition(): void {
    for (const [from, to] of partitions[this.#case.partition] ?? []) {
      this.#world.cut(from as GroupId, to as GroupId)
    }
    this.#world.after(partitionMs, () => this.#world.heal())
  }

  #count(moment: Moment): void {
    if (moment.what !== 'send' || moment.leader.group !== 0) return
    if (moment.when === 'before' && moment.send.kind === 'prepare') this.#prepares++
    if (moment.when === 'after' && moment.send.kind === 'commit') this.#commits++
  }

  #isCoordinatorAt(moment: Moment): boolean {
    const { coordinator } = this.#case
    const sends = (kind: string) => moment.what === 'send' && moment.send.kind === kind
    const proposes = (kind: string, when: 'before' | 'after') =>
      moment.what === 'propose' && moment.when === when && moment.kinds.includes(kind)
    switch (coordinator) {
      case 'before prepare':
        return moment.what === 'begun'
      case 'between prepares':
        return sends('prepare') && this.#prepares === 2
      case 'all prepared, not decided':
        return proposes('decide', 'before')
      case 'decision proposed, not committed':
        return proposes('decide', 'after')
      case 'decided, nothing sent':
        return moment.what === 'applied' && moment.kinds.includes('decide')
      case 'partly sent':
        return sends('commit') && this.#commits === 1
      case 'all sent, no acknowledgement':
        return sends('commit') && this.#commits === 2
      case 'some acknowledgements':
        return moment.what === 'handled' && moment.kinds.includes('ack')
      case 'before it forgets':
        return proposes('settle', 'before')
    }
  }

  #isParticipantAt(moment: Moment): boolean {
    const isSendOf = (kind: string) =>
      moment.what === 'send' && moment.when === 'before' && moment.send.kind === kind
    const isProposalOf = (kinds: readonly string[]) =>
      moment.what === 'propose' &&
      moment.when === 'before' &&
      kinds.some((kind) => moment.kinds.includes(kind))
    switch (this.#case.participant) {
      case 'before the branch is logged':
        return isProposalOf(['prepare'])
      case 'prepared, before the vote':
        return isSendOf('vote')
      case 'before the decision is logged':
        return isProposalOf(['commit', 'abort'])
      case 'decided, before the acknowledgement':
        return isSendOf('ack')
    }
  }
}

export function* allCases(): IterableIterator<MatrixCase> {
  for (const coordinator of coordinatorPoints) {
    for (const participant of participantPoints) {
      for (const partition of Object.keys(partitions)) {
        for (const keepsProposals of [false, true]) {
          yield { coordinator, participant, partition, keepsProposals }
        }
      }
    }
  }
}
