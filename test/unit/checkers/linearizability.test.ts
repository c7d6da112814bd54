import t from 'tap'
import {
  checkLinearizability,
  type HistoryEvent,
  type HistoryValue,
  type Operation,
  pairOperations,
  registerModel
} from '../../../src/checkers/index.js'
import { SplittableRandom } from '../../../src/core/index.js'

t.test('accepts a read of a write that overlaps it, either way', async (t) => {
  for (const seen of [null, 1]) {
    const verdict = check([
      event('a', 'invoke', 'write', 1),
      event('b', 'invoke', 'read'),
      event('b', 'ok', 'read', seen),
      event('a', 'ok', 'write', 1)
    ])
    t.equal(verdict.kind, 'accepted')
  }
})

t.test('rejects a stale read, and the witness needs no other read', async (t) => {
  const verdict = check([
    ...sequential('a', 'write', 1),
    ...sequential('r', 'read', 1),
    ...sequential('a', 'write', 2),
    ...sequential('r', 'read', 2),
    ...sequential('r', 'read', 1),
    ...sequential('r', 'read', 2)
  ])
  if (verdict.kind !== 'rejected') return t.fail(`verdict ${verdict.kind}`)
  t.strictSame(
    verdict.witness.map(({ op, input, output }) => [op, input, op === 'read' ? output : input]),
    [
      ['write', 1, 1],
      ['write', 2, 2],
      ['read', null, 1]
    ]
  )
})

t.test(
  'J-07 an operation of unknown outcome may take effect late, or never, but not twice',
  async (t) => {
    const unknown = [
      ...sequential('a', 'write', 1),
      event('x', 'invoke', 'append', 'z'),
      event('x', 'info', 'append', 'z')
    ]
    const reads = (...values: HistoryValue[]) =>
      check([...unknown, ...values.flatMap((value) => sequential('r', 'read', value))]).kind
    t.equal(reads(1, 1, 1), 'accepted', 'never')
    t.equal(reads(1, 1, '1z'), 'accepted', 'late')
    t.equal(reads(1, '1z', 1), 'rejected', 'undone')
    t.equal(reads(1, '1z', '1zz'), 'rejected', 'twice')
  }
)

t.test('a failed operation must not have had an effect', async (t) => {
  const verdict = check([
    ...sequential('a', 'write', 1),
    event('b', 'invoke', 'write', 2),
    event('b', 'fail', 'write', 2),
    ...sequential('r', 'read', 2)
  ])
  t.equal(verdict.kind, 'rejected')
})

t.test('keys are judged apart, and the faulty one is named', async (t) => {
  const verdict = check([
    ...sequential('a', 'write', 1, 'good'),
    ...sequential('a', 'write', 1, 'bad'),
    ...sequential('r', 'read', null, 'bad')
  ])
  t.match(verdict, { kind: 'rejected', key: 'bad' })
})

t.test('says unknown when the budget is not enough', async (t) => {
  const events: HistoryEvent[] = []
  for (let i = 0; i < 12; i++) events.push(event(`p${i}`, 'invoke', 'write', i))
  for (let i = 0; i < 12; i++) events.push(event(`p${i}`, 'ok', 'write', i))
  events.push(...sequential('r', 'read', 99))
  const operations = pairOperations(events)
  t.equal(checkLinearizability(operations, registerModel, { stepsMax: 100 }).kind, 'unknown')
  t.equal(checkLinearizability(operations, registerModel).kind, 'rejected')
})

t.test('what nobody saw of unknown outcome costs the search nothing', async (t) => {
  const events: HistoryEvent[] = []
  for (let i = 0; i < 40; i++) {
    const op = (['append', 'write', 'cas'] as const)[i % 3] ?? 'append'
    events.push(event(`lost${i}`, 'invoke', op, op === 'cas' ? ['0', `x${i}`] : `x${i}`))
  }
  for (let i = 0; i < 10; i++) {
    events.push(...sequential('w', 'write', `${i}`), ...sequential('r', 'read', `${i}`))
  }
  const stepsMax = 1_000
  const judge = () => checkLinearizability(pairOperations(events), registerModel, { stepsMax })
  t.equal(judge().kind, 'accepted')
  events.push(...sequential('r', 'read', '8'))
  t.equal(judge().kind, 'rejected')
})

t.test('decides 1,000 operations of ten clients on one key', async (t) => {
  const events = concurrentHistory(SplittableRandom.fromSeed(5), { clients: 10, operations: 1_000 })
  t.equal(check(events).kind, 'accepted')
})

t.test('dumb twin: agrees with trying every order, on small random histories', async (t) => {
  const random = SplittableRandom.fromSeed(11)
  const counts = { accepted: 0, rejected: 0, unknown: 0 }
  for (let round = 0; round < 6_000; round++) {
    const operations = pairOperations(randomHistory(random))
    const verdict = checkLinearizability(operations, registerModel)
    const expected = tryEveryOrder(operations) ? 'accepted' : 'rejected'
    counts[verdict.kind]++
    if (verdict.kind !== expected) {
      return t.fail(`${verdict.kind}, expected ${expected}: ${JSON.stringify(operations)}`)
    }
    if (verdict.kind === 'rejected' && tryEveryOrder(verdict.witness)) {
      return t.fail(`the witness is linearizable: ${JSON.stringify(verdict.witness)}`)
    }
  }
  t.ok(counts.accepted > 300 && counts.rejected > 300, JSON.stringify(counts))
})

function check(events: readonly HistoryEvent[]) {
  return checkLinearizability(pairOperations(events), registerModel)
}

function event(
  process: string,
  type: HistoryEvent['type'],
  op: HistoryEvent['op'],
  value: HistoryValue = null,
  key = 'k'
): HistoryEvent {
  return { process, type, op, key, value }
}

function sequential(process: string, op: HistoryEvent['op'], value: HistoryValue, key = 'k') {
  const asked = op === 'read' ? null : value
  return [event(process, 'invoke', op, asked, key), event(process, 'ok', op, value, key)]
}

/** The definition itself: some order of some subset, within real time, that the model allows. */
function tryEveryOrder(operations: readonly Operation[]): boolean {
  const go = (left: readonly Operation[], state: HistoryValue): boolean => {
    if (left.every((operation) => operation.completedAt === Number.POSITIVE_INFINITY)) return true
    const firstCompletion = Math.min(...left.map((operation) => operation.completedAt))
    return left.some((operation) => {
      if (operation.invokedAt > firstCompletion) return false
      const next = registerModel.step(state, operation)
      return (
        next !== undefined &&
        go(
          left.filter((other) => other !== operation),
          next
        )
      )
    })
  }
  return go(
    operations.filter((o) => o.op !== 'read' || Number.isFinite(o.completedAt)),
    null
  )
}

/**
 * Up to four processes and seven operations with answers that are often, but not always,
 * possible.
 */
function randomHistory(random: SplittableRandom): HistoryEvent[] {
  const events: HistoryEvent[] = []
  const open = new Map<string, HistoryEvent>()
  const isGrowing = random.nextInt(3) === 0
  const allKinds = ['read', 'read', 'write', 'cas', 'append'] as const
  const texts = [null, 'a', 'ab', 'ba', 'aa', 'b', 'abb']
  let processes = ['a', 'b', 'c', 'd']
  let started = 0
  while (processes.length > 0 && (started < 7 || open.size > 0)) {
    const process = processes[random.nextInt(processes.length)] as string
    const invoked = open.get(process)
    if (invoked) {
      const type = (['ok', 'ok', 'ok', 'ok', 'fail', 'info'] as const)[random.nextInt(6)] ?? 'ok'
      const text = texts[random.nextInt(texts.length)] ?? null
      const read = isGrowing ? text : smallValue(random)
      const value = invoked.op === 'read' ? read : invoked.value
      events.push({ ...invoked, type, value })
      open.delete(process)
      if (type === 'info') processes = processes.filter((other) => other !== process)
    } else if (started < 7) {
      const kinds = isGrowing ? (['read', 'append'] as const) : allKinds
      const op = kinds[random.nextInt(kinds.length)] ?? 'read'
      const letter = random.nextInt(2) === 0 ? 'a' : 'b'
      const plain = op === 'append' ? letter : smallValue(random)
      const value = op === 'cas' ? [smallValue(random), smallValue(random)] : plain
      const invoke = event(process, 'invoke', op, op === 'read' ? null : value)
      events.push(invoke)
      open.set(process, invoke)
      started++
    }
  }
  return events
}

const smallValue = (random: SplittableRandom): HistoryValue =>
  [null, 1, 2][random.nextInt(3)] ?? null

/** Clients of a real register: each operation takes effect at an instant between its two events. */
function concurrentHistory(
  random: SplittableRandom,
  size: { clients: number; operations: number }
): HistoryEvent[] {
  const events: HistoryEvent[] = []
  const open: (null | { invoke: HistoryEvent; answer: HistoryValue | undefined })[] = Array.from(
    { length: size.clients },
    () => null
  )
  let state: HistoryValue = null
  for (let done = 0; done < size.operations; ) {
    const at = random.nextInt(size.clients)
    const current = open[at]
    if (!current) {
      const op = random.nextInt(2) === 0 ? 'read' : 'write'
      const invoke = event(`c${at}`, 'invoke', op, op === 'read' ? null : random.nextInt(5))
      events.push(invoke)
      open[at] = { invoke, answer: undefined }
    } else if (current.answer === undefined) {
      if (current.invoke.op === 'write') state = current.invoke.value
      current.answer = state
    } else {
      const value = current.invoke.op === 'read' ? current.answer : current.invoke.value
      events.push({ ...current.invoke, type: 'ok', value })
      open[at] = null
      done++
    }
  }
  return events
}
