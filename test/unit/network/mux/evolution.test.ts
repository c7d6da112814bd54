/** D-12: one version talks to the next, both ways, for every message of nodes and of clients. */
import t from 'tap'
import { declaredCatalogue } from '../../../../lib/catalogue.js'
import { type PeerIdentity, Priorities, SplittableRandom } from '../../../../src/core/index.js'
import { type Hello, hello } from '../../../../src/network/mux/messages.js'
import {
  type AnyDeclaration,
  ByteReader,
  ByteWriter,
  Catalogue,
  type Codec,
  declareMessage,
  declareRequest,
  encodeMessage,
  isRequest,
  openStruct,
  type RequestDeclaration,
  text,
  u32
} from '../../../../src/wire/index.js'
import { at, identityOf, MuxerEnd, MuxerPair, wall } from '../../../support/muxer-pair.js'
import { sampleBody, tryRead } from '../../../support/wire-samples.js'

const firstRoomNumber = 0x0100
const addedTag = 250
const normal = { priority: Priorities.Normal }

/** The same message of the next version: one more optional field, which it always writes. */
function nextVersion(codec: Codec<unknown>): Codec<unknown> {
  return {
    spec: codec.spec,
    write(writer, value) {
      codec.write(writer, value)
      writer.u8(addedTag)
      const start = writer.beginSized()
      writer.text('only the next version knows')
      writer.endSized(start)
    },
    read: (reader) => codec.read(reader)
  }
}

function newer(declaration: AnyDeclaration): AnyDeclaration {
  const next = { ...declaration, codec: nextVersion(declaration.codec) }
  if (!isRequest(declaration)) return next
  const { response } = declaration
  return { ...next, response: { ...response, codec: nextVersion(response.codec) } } as never
}

const isOpen = ({ codec: { spec } }: AnyDeclaration): boolean =>
  spec.kind === 'struct' && spec.optional !== null

/** What starts an exchange; responses come along. */
const older = declaredCatalogue()
  .all()
  .filter(({ number, kind }) => number >= firstRoomNumber && kind !== 'response')

t.test('every body between rooms is open: a later version may add fields', async (t) => {
  const closed = declaredCatalogue()
    .all()
    .filter((each) => each.number >= firstRoomNumber && !isOpen(each))
  t.same(
    closed.map(({ name }) => name),
    []
  )
})

for (const [way, diallersAre] of [
  ['from the next version to this one', 'newer'],
  ['from this version to the next one', 'older']
] as const) {
  t.test(`every message, ${way}`, async (t) => {
    const next = older.map(newer)
    const [mine, theirs] = diallersAre === 'newer' ? [next, older] : [older, next]
    const pairOf = (local: PeerIdentity) =>
      new MuxerPair(
        { catalogue: new Catalogue(mine), local },
        { catalogue: new Catalogue(theirs) }
      ).pump()
    const client = { kind: 'client', name: 'app', clusterName: 'test' } as const
    const pairs = { node: pairOf(identityOf('a')), client: pairOf(client) }
    for (const [i, declaration] of mine.entries()) {
      const { name, senders } = declaration
      const pair = senders.includes('node') ? pairs.node : pairs.client
      const { dialler, acceptor } = pair
      const body = bodyOf(older[i] as AnyDeclaration)
      acceptor.events.length = 0
      dialler.events.length = 0
      if (!isRequest(declaration)) {
        dialler.muxer.send(declaration, body, normal, wall(0))
        pair.pump()
        t.match(acceptor.events, [{ kind: 'message' }], name)
        const [heard] = acceptor.events
        if (heard?.kind === 'message') t.same(heard.body, body, name)
        continue
      }
      const dispatch = { ...normal, deadline: at(1_000) }
      dialler.muxer.request(declaration, body, dispatch, name, at(0), wall(0))
      pair.pump()
      const [asked] = acceptor.events
      if (asked?.kind !== 'request') {
        t.fail(`${name}: ${asked?.kind}`)
        continue
      }
      t.same(asked.body, body, name)
      const answer = bodyOf((older[i] as RequestDeclaration<unknown, unknown>).response)
      acceptor.muxer.answer(asked.id, answer, wall(0))
      pair.pump()
      t.match(dialler.events, [{ kind: 'answered' }], `${name}: the answer`)
      const [answered] = dialler.events
      if (answered?.kind === 'answered') t.same(answered.body, answer, `${name}: the answer`)
    }
    for (const { dialler, acceptor } of Object.values(pairs)) {
      t.equal(dialler.doneError, undefined)
      t.equal(acceptor.doneError, undefined)
    }
  })
}

t.test('a type that only the next version has is answered by code, the link stays', async (t) => {
  const common = { priority: Priorities.Normal, about: 'Of the next version.' }
  const body = openStruct({ count: u32 })
  const added = declareMessage({ ...common, number: 0x0cfe, name: 'Added', body })
  const ask = declareRequest({ ...common, number: 0x0cfc, name: 'AddedAsk', body, answer: body })
  const later = declareMessage({ ...common, number: 0x0cfb, name: 'Later', since: 2, body })
  const next = new Catalogue([...older.map(newer), added, ask, later])
  const pair = new MuxerPair({ catalogue: next }, { catalogue: new Catalogue([...older, later]) })
  const { dialler, acceptor } = pair.pump()
  for (const declaration of [added, later]) {
    dialler.events.length = 0
    dialler.muxer.send(declaration, { count: 1 }, normal, wall(0))
    pair.pump()
    t.match(dialler.events, [{ kind: 'rejected', error: { code: 'ERR_SKEIN_UNKNOWN_MESSAGE' } }])
  }
  const dispatch = { ...normal, deadline: at(1_000) }
  dialler.muxer.request(ask, { count: 1 }, dispatch, 'asked', at(0), wall(0))
  pair.pump()
  t.match(dialler.events.at(-1), { kind: 'failed', error: { code: 'ERR_SKEIN_UNKNOWN_MESSAGE' } })
  t.equal(acceptor.doneError, undefined)
})

t.test('a newer end is greeted: its highest common version, its new fields skipped', async (t) => {
  const said: Hello = {
    kind: 'node',
    name: 'a',
    clusterName: 'test',
    clusterId: null,
    versionMin: 1,
    versionMax: 9,
    bootNonce: new Uint8Array(16).fill(1),
    sequence: 1
  }
  const acceptor = new MuxerEnd({ local: identityOf('b'), isDialer: false })
  acceptor.muxer.attach(identityOf('a'), at(0), wall(0))
  const writer = new ByteWriter(1_024)
  const type = hello.number
  const header = {
    version: 1,
    flags: 0,
    type,
    messageId: 0,
    timestamp: 1,
    source: 0,
    destination: 0
  }
  encodeMessage(writer, header, null, nextVersion(hello.codec as Codec<unknown>), said)
  acceptor.receive(writer.take())
  t.equal(acceptor.doneError, undefined)
  t.ok(acceptor.pullAll().length > 0, 'it says Hello too')
})

t.test('an added field is told to who knows it, and absent for who was not told', async (t) => {
  const before = openStruct({ text: text(20) })
  const after = openStruct({ text: text(20) }, { volume: [3, u32] })
  const bytesOf = <Body>(codec: Codec<Body>, body: Body) => {
    const writer = new ByteWriter(100)
    codec.write(writer, body)
    return writer.take()
  }
  const read = <Body>(codec: Codec<Body>, bytes: Uint8Array) => codec.read(new ByteReader(bytes))
  t.same(read(before, bytesOf(after, { text: 'x', volume: 7 })), { text: 'x' })
  t.same(read(after, bytesOf(before, { text: 'x' })), { text: 'x' })
  t.same(read(after, bytesOf(after, { text: 'x', volume: 7 })), { text: 'x', volume: 7 })
})

function bodyOf({ codec, name, number }: AnyDeclaration): unknown {
  const random = SplittableRandom.fromSeed(number)
  const bytes = sampleBody(codec, random, { lengthMax: 2 }, 10_000)
  const value = bytes === null ? undefined : tryRead(codec, bytes)
  if (value === undefined) throw new Error(`no sample of ${name}`)
  return value.body
}
