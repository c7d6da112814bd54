/** Entries of sections in a group's log: what they write, over crashes and snapshots. */
import t from 'tap'
import type {
  GroupSection,
  RowGuard,
  Rows,
  SectionApplyAt,
  SectionEffects
} from '../../../src/consensus/group/group-section.js'
import { NEVER } from '../../../src/core/deadlines.js'
import { DEFAULT_GROUP, type Serial, type Term, toClientId } from '../../../src/core/ids.js'
import type { SystemWrite } from '../../../src/core/ports/engine.js'
import type { ClientTag } from '../../../src/core/ports/replicated-group.js'
import { TestCluster, type TestClusterOptions } from '../../support/consensus-cluster.js'
import { EngineLooks } from '../../support/engine-looks.js'

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)

/** Keeps every word that it is given, and writes the last one into the data. */
class Words implements GroupSection<string> {
  readonly name = 'words'
  readonly keyPrefix = 'words/'
  readonly rows = new HeldRows()
  words: string[] = []
  readonly told: string[] = []
  readonly leaderships: (Term | null)[] = []

  restore(writes: readonly SystemWrite[]): void {
    this.words = writes.map(({ value }) => (value === null ? '' : text(value)))
  }

  apply(entry: Uint8Array, at: SectionApplyAt): SectionEffects<string> {
    const [word = '', client] = text(entry).split(' ')
    const tag = client === undefined ? null : tagOf(client)
    const isDone = tag === null || at.isNew(tag)
    if (isDone) this.words.push(word)
    const number = String(this.words.length - 1).padStart(4, '0')
    const change = bytes(JSON.stringify([['last', word]]))
    return {
      commands: isDone ? [{ tag: 'kv', bytes: change }] : [],
      writes: isDone ? [{ key: this.keyPrefix + number, value: bytes(word) }] : [],
      answered: isDone && tag !== null ? [{ tag, result: null }] : [],
      answer: isDone ? word : `${word} again`
    }
  }

  handleApplied(answer: string): void {
    this.told.push(answer)
  }

  handleLeadership(term: Term | null): void {
    this.leaderships.push(term)
  }
}

class HeldRows implements RowGuard {
  held: readonly string[] = []
  preparedCount = 0
  /** Of the entry that prepared what is held; by default none did. */
  preparedAt = Number.POSITIVE_INFINITY
  #handler = () => {}

  get isHeld(): boolean {
    return this.held.length > 0
  }

  get isPrepared(): boolean {
    return this.isHeld
  }

  blocksWrite({ readKeys, writeKeys }: Rows): boolean {
    if (readKeys === 'all' || writeKeys === 'all') return this.isHeld
    return [...readKeys, ...writeKeys].some((key) => this.held.includes(key))
  }

  keepPlace(): null {
    return null
  }

  isPreparedUpTo(index: number): boolean {
    return this.isHeld && this.preparedAt <= index
  }

  blocksRead(rows: Rows): boolean {
    return this.blocksWrite(rows)
  }

  onReleased(handler: () => void): void {
    this.#handler = handler
  }

  hold(...keys: readonly string[]): void {
    this.held = keys
    this.preparedCount++
  }

  release(): void {
    this.held = []
    this.#handler()
  }
}

const tagOf = (client: string): ClientTag => ({
  clientId: toClientId(client),
  serial: 1 as Serial,
  answeredBelow: 1 as Serial
})

function withWords(options: TestClusterOptions = {}) {
  const sections = new Map<string, Words>()
  const cluster = new TestCluster({
    ...options,
    sections: (node) => {
      const words = new Words()
      sections.set(node, words)
      return [words]
    }
  })
  const wordsOf = (name: string) => sections.get(name) as Words
  const say = (name: string, word: string) =>
    cluster.clock.settle(cluster.group(name).proposeSystem('words', () => bytes(word), NEVER))
  return { cluster, wordsOf, say }
}

t.test('T-18 entries of a section are applied everywhere, and survive a crash', async (t) => {
  const { cluster, wordsOf, say } = withWords()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await say(leader, 'one')
  await cluster.written(leader, 'set other 1')
  await say(leader, 'two')
  t.equal(await cluster.read(leader, 'last'), 'two', 'with the data')
  t.same(wordsOf(leader).told, ['one', 'two'])
  await cluster.untilCaughtUp()
  for (const name of ['a', 'b', 'c']) t.same(wordsOf(name).words, ['one', 'two'])
  t.equal(new Set(await cluster.hashes()).size, 1)
  for (const name of ['a', 'b', 'c']) cluster.crash(name)
  for (const name of ['a', 'b', 'c']) await cluster.start(name)
  const next = await cluster.untilLeader()
  await say(next, 'three')
  await cluster.untilCaughtUp()
  for (const name of ['a', 'b', 'c']) t.same(wordsOf(name).words, ['one', 'two', 'three'])
})

t.test('R-S11 a snapshot brings what a section knows', async (t) => {
  const short = { logEntriesMax: 16, logTailShare: 0.1, snapshotChunkTimeoutMs: 50 }
  const { cluster, wordsOf, say } = withWords({ consensus: short })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const [behind = ''] = ['a', 'b', 'c'].filter((name) => name !== leader)
  cluster.crash(behind)
  const said = Array.from({ length: 40 }, (_, i) => `w${i}`)
  for (const word of said) await say(leader, word)
  for (let i = 0; i < 20; i++) await cluster.written(leader, `set k${i} v`)
  await cluster.start(behind)
  await cluster.untilCaughtUp()
  t.equal(cluster.node(behind).driver.counters.get('snapshots_installed'), 1)
  t.same(wordsOf(behind).words, said)
  await say(leader, 'more')
  await cluster.untilCaughtUp()
  t.same(wordsOf(behind).words, [...said, 'more'], 'and goes on from there')
})

t.test('R-X01 a command of a client is executed once, by an entry or by a write', async (t) => {
  const { cluster, wordsOf, say } = withWords()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const registered = cluster.group(leader).registerClient(toClientId('bob'), cluster.deadline())
  await cluster.clock.settle(registered)
  await say(leader, 'one bob')
  await say(leader, 'two bob')
  await say(leader, 'three nobody')
  t.same(wordsOf(leader).told, ['one', 'two again', 'three again'])
  t.equal(cluster.group(leader).standingOf(tagOf('bob')).kind, 'refused', 'it was not kept')
  const written = cluster.write(leader, 'set last four', tagOf('bob'))
  await t.rejects(cluster.clock.settle(written), { code: 'ERR_SKEIN_RESULT_NOT_KEPT' })
  t.equal(await cluster.read(leader, 'last'), 'one')
})

t.test('T-18 a section hears who leads, and what is lost with a leader', async (t) => {
  const { cluster, wordsOf, say } = withWords({ syncLatencyMs: 3 })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const { term } = cluster.group(leader).status()
  t.same(wordsOf(leader).leaderships, [term])
  const moved = cluster.group(leader).transferLeadership(null, cluster.deadline())
  await cluster.clock.settle(moved)
  t.same(wordsOf(leader).leaderships, [term, null])
  const next = await cluster.untilLeader()
  t.same(wordsOf(next).leaderships, [cluster.group(next).status().term])
  await t.rejects(say(leader, 'late'), { code: 'ERR_SKEIN_NOT_LEADER' })
  const lost = cluster.group(next).proposeSystem('words', () => bytes('lost'), NEVER)
  const answer = t.rejects(lost, { code: 'ERR_SKEIN_INDETERMINATE' })
  await cluster.clock.until(() => cluster.group(next).raft.status().lastIndex > 0)
  cluster.network.isolate(cluster.node(next).id)
  await cluster.clock.settle(answer)
})

t.test('T-18 an entry is made when nothing is on its way, or not at all', async (t) => {
  const { cluster, wordsOf } = withWords({ syncLatencyMs: 3 })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const group = cluster.group(leader)
  const writes = Array.from({ length: 8 }, (_, i) => cluster.write(leader, `add sum ${i}`))
  const seen: (string | null)[] = []
  const make = async () => {
    seen.push(await readHere(cluster, leader, 'sum'))
    return null
  }
  await cluster.clock.settle(group.proposeSystem('words', make, NEVER))
  await cluster.clock.settle(Promise.all(writes))
  seen.push(await readHere(cluster, leader, 'sum'))
  t.ok(seen[0] === null || seen[0] === '28', `${seen[0]}: all of the batch or nothing`)
  t.equal(seen[1], '28')
  t.same(wordsOf(leader).words, [])
  const failing = group.proposeSystem('words', () => Promise.reject(new Error('cannot')), NEVER)
  await t.rejects(cluster.clock.settle(failing), { message: 'cannot' })
})

t.test('T-17 a plain write and a linearizable read wait for rows that are held', async (t) => {
  const { cluster, wordsOf } = withWords()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const { rows } = wordsOf(leader)
  rows.hold('x')
  const blocked = cluster.write(leader, 'add x 1')
  const late = cluster.write(leader, 'add x 1', null, 200)
  await cluster.written(leader, 'add y 1')
  t.equal(await readDecided(cluster, leader, 'y'), '1', 'other rows are free')
  const read = readDecided(cluster, leader, 'x')
  await t.rejects(cluster.clock.settle(late), { code: 'ERR_SKEIN_LOCKED' })
  t.equal(await readHere(cluster, leader, 'x'), null, 'nothing is done')
  rows.release()
  await cluster.clock.settle(blocked)
  await t.resolves(read, 'whatever it sees, before the write or after it')
  t.equal(cluster.node(leader).driver.counters.get('reads_held_up'), 1)
  t.equal(await cluster.read(leader, 'x'), '1')
  rows.hold('x')
  await t.rejects(readDecided(cluster, leader, 'x', 200), { code: 'ERR_SKEIN_LOCKED' })
})

t.test('T-17 a fault of a read waits for what was prepared before it alone', async (t) => {
  const { cluster, wordsOf } = withWords()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const { rows } = wordsOf(leader)
  const group = cluster.group(leader)
  const { appliedIndex } = group.status()
  const ask = (ms: number) =>
    cluster.clock.settle(
      group.read({
        statements: [{ sql: 'nonsense' }],
        atLeastIndex: appliedIndex,
        awaitsDecisions: true,
        deadline: cluster.deadline(ms)
      })
    )
  rows.hold('x')
  rows.preparedAt = appliedIndex + 1
  await t.rejects(ask(5_000), { code: 'ERR_SKEIN_SQL' }, 'it came later')
  rows.preparedAt = appliedIndex
  await t.rejects(ask(200), { code: 'ERR_SKEIN_LOCKED' }, 'it may be committed elsewhere')
  const asked = ask(5_000)
  rows.release()
  await t.rejects(asked, { code: 'ERR_SKEIN_SQL' })
})

t.test('T-17 writes beside rows that are held are asked for together', async (t) => {
  const looks = new EngineLooks()
  const { cluster, wordsOf } = withWords({ wrap: looks.wrap })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'add y 0')
  const { rows } = wordsOf(leader)
  rows.hold('x')
  const free = [1, 2, 3, 4].map(() => cluster.write(leader, 'add y 1'))
  for (const write of free) await cluster.clock.settle(write)
  t.equal(looks.atOnceMax, free.length - 1, 'the first went at once')
  t.equal(looks.discards, 0, 'none met the row: all were kept')
  const writes = ['add y 1', 'add x 1', 'add y 1', 'set y 0', 'add x 1', 'add y 1']
  const [first, blocked, second, third, other, last] = writes.map((sql) =>
    cluster.write(leader, sql)
  )
  for (const write of [first, second, third, last])
    await cluster.clock.settle(write as Promise<unknown>)
  t.ok(looks.discards > 0)
  t.equal(await readHere(cluster, leader, 'y'), '1', 'each once, in order')
  t.equal(await readHere(cluster, leader, 'x'), null, 'what met the row was undone')
  rows.release()
  for (const write of [blocked, other]) await cluster.clock.settle(write as Promise<unknown>)
  t.equal(await readHere(cluster, leader, 'x'), '2')
  t.equal(await readHere(cluster, leader, 'y'), '1')
})

const readHere = (cluster: TestCluster, name: string, key: string) =>
  readWith(cluster, name, key, { awaitsDecisions: false, ms: 5_000 })

const readDecided = (cluster: TestCluster, name: string, key: string, ms = 5_000) =>
  readWith(cluster, name, key, { awaitsDecisions: true, ms })

async function readWith(
  cluster: TestCluster,
  name: string,
  key: string,
  { awaitsDecisions, ms }: { awaitsDecisions: boolean; ms: number }
): Promise<string | null> {
  const group = cluster.node(name).driver.group(DEFAULT_GROUP)
  const reading = group?.read({
    statements: [{ sql: `get ${key}` }],
    atLeastIndex: group.status().appliedIndex,
    awaitsDecisions,
    deadline: cluster.deadline(ms)
  })
  const answer = await cluster.clock.settle(reading ?? Promise.reject(new Error('no group')))
  return (answer.results[0]?.rows[0]?.[0] as string | undefined) ?? null
}
