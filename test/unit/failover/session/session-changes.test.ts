import t from 'tap'
import { messageSizeBytesMax } from '../../../../src/core/limits.js'
import {
  capturesMax,
  type SessionChange
} from '../../../../src/failover/session/session-changes.js'
import {
  allSessionsBytesMax,
  seenGroupsMax,
  sessionBytesMax,
  sessionKeptMs,
  sessionsMax,
  sizeOfRecord
} from '../../../../src/failover/session/session-record.js'
import { sessionsSection } from '../../../../src/failover/session/sessions-section.js'
import { ByteReader } from '../../../../src/wire/byte-reader.js'
import { ByteWriter } from '../../../../src/wire/byte-writer.js'
import type { Codec } from '../../../../src/wire/codec.js'
import { a, b, c, HomeGroup, id, seen, token } from './home-group.js'

const define = (group: HomeGroup, sql: string | null, name = 'pay', epoch = 1) =>
  group.apply({
    kind: 'define',
    session: id(1),
    home: a,
    epoch,
    settings: [{ name: 'read_only', value: sql === null ? null : 'on' }],
    prepared: [{ name, sql }]
  })

t.test('a session is opened once, by whoever has its token, wherever that arrives', async (t) => {
  const group = new HomeGroup()
  t.match(group.open(), { kind: 'accepted', home: a, epoch: 1 })
  t.match(group.open(), { kind: 'accepted', home: a, epoch: 1 }, 'asked again')
  t.match(group.open(b), { kind: 'accepted', home: b, epoch: 2 }, 'again, at another node')
  t.match(group.open(a, 1, 'other'), { kind: 'refused', refusal: 'client' })
  const change = { kind: 'open', session: id(1), client: 'app', home: a, settings: [] } as const
  t.match(group.apply({ ...change, token: token(2) }), { kind: 'refused', refusal: 'token' })
  t.equal(group.state.sessions.length, 1)
  t.equal(group.state.opened, 1)
})

t.test('M-05 a late call opens an ended session in an epoch that it never had', async (t) => {
  const group = new HomeGroup()
  group.open()
  group.take(a, 1, b)
  group.index = 7
  t.match(group.apply({ kind: 'close', session: id(1), home: b, epoch: 2 }), { kind: 'accepted' })
  group.index = 8
  t.match(group.open(a), { kind: 'accepted', home: a, epoch: 8 })
  t.match(define(group, 'SELECT 1'), { kind: 'refused', refusal: 'fenced' }, 'as it was at home')
  t.match(group.take(b, 2, c), { kind: 'refused', refusal: 'fenced' })
})

t.test('M-05 a home that is none any more changes nothing', async (t) => {
  const group = new HomeGroup()
  group.open()
  t.match(group.take(a, 1, b, 7), { kind: 'accepted', home: b, epoch: 2 })
  const before = group.get()
  t.match(define(group, 'SELECT 1'), { kind: 'refused', refusal: 'fenced', home: b, epoch: 2 })
  t.match(group.take(a, 1, c), { kind: 'refused', refusal: 'fenced' }, 'nor gives it away twice')
  t.match(group.take(b, 1, c), { kind: 'refused', refusal: 'fenced' }, 'the epoch counts too')
  const captured = [{ session: id(1), epoch: 1, seen: [seen(99)], lastInsertRowid: 5n }]
  t.match(group.apply({ kind: 'capture', home: a, sessions: captured }), {
    kind: 'accepted',
    foreign: [id(1)]
  })
  t.match(group.apply({ kind: 'close', session: id(1), home: a, epoch: 1 }), { kind: 'refused' })
  t.same(group.get(), before)
})

t.test('a token takes a session over once; the same call again is the same call', async (t) => {
  const group = new HomeGroup()
  group.open()
  t.match(group.attach(b, 1, 2), { kind: 'accepted', home: b, epoch: 2 })
  t.match(group.attach(b, 1, 2), { kind: 'accepted', home: b, epoch: 2 }, 'the answer was lost')
  t.match(group.attach(c, 1, 2), { kind: 'accepted', home: c, epoch: 3 }, 'and that node too')
  t.match(group.attach(b, 1, 3), { kind: 'refused', refusal: 'token' }, 'used')
  t.match(group.attach(b, 9, 3), { kind: 'refused', refusal: 'token' }, 'none of its')
  t.match(group.attach(b, 2, 3, { client: 'other' }), { kind: 'refused', refusal: 'client' })
  t.match(group.attach(b, 2, 3), { kind: 'accepted', home: b, epoch: 4 })
  t.match(group.attach(c, 1, 2), { kind: 'refused', refusal: 'token' }, 'long used')
})

t.test('what a session has seen never goes back', async (t) => {
  const group = new HomeGroup()
  group.open()
  group.take(a, 1, b, 10)
  group.attach(c, 1, 2, { seen: [seen(4), seen(3, 1)], lastInsertRowid: 8n })
  t.same(group.get()?.seen, [seen(10), seen(3, 1)])
  t.equal(group.get()?.lastInsertRowid, 8n)
  group.attach(a, 2, 3, { seen: [seen(12)] })
  t.same(group.get()?.seen, [seen(12), seen(3, 1)])
  t.equal(group.get()?.lastInsertRowid, 8n, 'its program says nothing of it')
  const many = Array.from({ length: seenGroupsMax + 5 }, (_, n) => seen(20, n))
  group.attach(a, 3, 4, { seen: many })
  t.equal(group.get()?.seen.length, seenGroupsMax)
})

t.test('a move that is in doubt cannot be made any more once it is settled', async (t) => {
  const group = new HomeGroup()
  group.open()
  const settle = { kind: 'settle', session: id(1), home: a, epoch: 1 } as const
  t.match(group.apply(settle), { kind: 'accepted', home: a, epoch: 2 })
  t.match(group.take(a, 1, b), { kind: 'refused', refusal: 'fenced', home: a, epoch: 2 })
  t.match(group.take(a, 2, b), { kind: 'accepted', home: b, epoch: 3 })
  t.match(group.apply({ ...settle, epoch: 2 }), { kind: 'refused', home: b, epoch: 3 })
})

t.test('settings and statements are defined, taken away, and bounded', async (t) => {
  const group = new HomeGroup()
  group.open()
  t.match(define(group, 'SELECT 1'), { kind: 'accepted' })
  t.match(define(group, 'SELECT 1'), { kind: 'accepted' }, 'again')
  t.match(define(group, 'SELECT 2'), { kind: 'refused', refusal: 'nameTaken' })
  t.same(group.get()?.prepared, [{ name: 'pay', sql: 'SELECT 1' }])
  t.same(group.get()?.settings, [{ name: 'read_only', value: 'on' }])
  t.match(define(group, 'x'.repeat(sessionBytesMax), 'big'), { refusal: 'tooLarge' })
  define(group, null)
  t.same([group.get()?.prepared, group.get()?.settings], [[], []])
})

t.test('M-02 M-03 who is not spoken for is forgotten by log time, and says so', async (t) => {
  const group = new HomeGroup()
  group.open(a, 1)
  group.open(a, 2)
  group.open(a, 3)
  const captured = { epoch: 1, seen: [], lastInsertRowid: null }
  group.apply({ kind: 'detach', home: a, sessions: [{ session: id(2), ...captured }] })
  t.equal(group.get(id(2))?.state, 'detached')
  group.now += sessionKeptMs - 10
  group.apply({ kind: 'capture', home: a, sessions: [{ session: id(3), ...captured }] })
  t.equal(group.state.sessions.length, 3)
  group.now += 20
  t.match(group.attach(b, 1, 2), { kind: 'refused', refusal: 'unknown' })
  t.same(
    group.state.sessions.map((record) => record.id),
    [id(3)]
  )
  t.match(group.state, { lost: 1, expired: 1 }, 'one of them was detached')
})

t.test('at a bound the newcomer is refused, and nobody else suffers', async (t) => {
  const group = new HomeGroup()
  for (let n = 1; n <= sessionsMax; n++) group.open(a, n)
  t.match(group.open(a, 0), { kind: 'refused', refusal: 'full' })
  t.equal(group.state.sessions.length, sessionsMax)
  group.apply({ kind: 'close', session: id(1), home: null, epoch: 0 })
  t.match(group.open(a, 0), { kind: 'accepted' })

  const large = new HomeGroup()
  let refused = 0
  for (let n = 1; n <= 40; n++) {
    large.open(a, n)
    const prepared = [{ name: 'q', sql: 'x'.repeat(sessionBytesMax - 1_000) }]
    const change = { kind: 'define', session: id(n), home: a, epoch: 1, settings: [] } as const
    if (large.apply({ ...change, prepared }).kind === 'refused') refused++
  }
  t.ok(refused > 0)
  const bytes = large.state.sessions.reduce((sum, record) => sum + sizeOfRecord(record), 0)
  t.ok(bytes <= allSessionsBytesMax)
  t.ok(encode(sessionsSection.state, large.state).length < messageSizeBytesMax)
})

t.test('sizes are told rather too large than too small', async (t) => {
  const group = new HomeGroup()
  group.open(a, 1, 'ä'.repeat(127))
  define(group, 'é'.repeat(5_000), 'naïve'.replace('ï', 'i'))
  group.attach(a, 1, 2, {
    client: 'ä'.repeat(127),
    seen: Array.from({ length: seenGroupsMax }, (_, n) => seen(2 ** 40, n)),
    lastInsertRowid: 2n ** 62n
  })
  const empty = encode(sessionsSection.state, { ...group.state, sessions: [] }).length
  const record = group.get()
  t.ok(record !== undefined && record.seen.length === seenGroupsMax)
  const size = encode(sessionsSection.state, group.state).length - empty
  if (record !== undefined) t.ok(size <= sizeOfRecord(record), `${size} bytes`)
})

t.test('state, changes and answers are the same after they were bytes', async (t) => {
  const group = new HomeGroup()
  group.open()
  define(group, 'SELECT 1')
  group.attach(b, 1, 2, { seen: [seen(3)], lastInsertRowid: -1n })
  t.same(again(sessionsSection.state, group.state), group.state)
  const captured = { seen: [seen(1)], lastInsertRowid: null }
  const sessions = Array.from({ length: capturesMax }, () => ({
    session: id(1),
    epoch: 1,
    ...captured
  }))
  const whose = { session: id(1), home: a, epoch: 1 }
  const changes: SessionChange[] = [
    { kind: 'open', session: id(1), client: 'app', home: a, token: token(1), settings: [] },
    {
      kind: 'attach',
      session: id(1),
      home: a,
      client: 'app',
      token: token(1),
      next: token(2),
      ...captured
    },
    { kind: 'take', session: id(1), from: a, epoch: 1, home: b, ...captured },
    { kind: 'capture', home: a, sessions },
    { kind: 'detach', home: a, sessions },
    { kind: 'define', ...whose, settings: [], prepared: [{ name: 'q', sql: null }] },
    { kind: 'settle', ...whose },
    { kind: 'close', ...whose, home: null }
  ]
  for (const change of changes) t.match(again(sessionsSection.change, change), change, change.kind)
  const answer = { kind: 'accepted', home: a, epoch: 0, foreign: [id(1)] } as const
  t.same(again(sessionsSection.answer, answer), answer)
})

function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new ByteWriter(messageSizeBytesMax)
  codec.write(writer, value)
  return writer.take()
}

const again = <T>(codec: Codec<T>, value: T): T => codec.read(new ByteReader(encode(codec, value)))
