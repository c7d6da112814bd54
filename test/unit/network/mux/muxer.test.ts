import t from 'tap'
import { type PeerIdentity, Priorities, SplittableRandom } from '../../../../src/core/index.js'
import { bindNode, hello, ping } from '../../../../src/network/mux/messages.js'
import {
  MessagePolicy,
  restrictionFaults
} from '../../../../src/network/security/message-policy.js'
import {
  ByteWriter,
  Catalogue,
  encodeMessage,
  FrameFlags,
  inspectFrame,
  type MessageDeclaration
} from '../../../../src/wire/index.js'
import {
  at,
  identityOf,
  MuxerEnd,
  MuxerPair,
  muxerLimits,
  wall
} from '../../../support/muxer-pair.js'
import { someOf } from '../../../support/thoroughness.js'
import { bulk, catalogue, clusterIdOf, echo, node, note } from '../../../support/transport-world.js'

const normal = { priority: Priorities.Normal }

function frame<Body>(
  declaration: MessageDeclaration<Body>,
  body: Body,
  header: { flags?: number; source?: number; destination?: number; version?: number } = {}
): Uint8Array {
  const writer = new ByteWriter(1 << 20)
  const { flags = 0, source = 0, destination = 0, version = 1 } = header
  const type = declaration.number
  const head = { version, flags, type, messageId: 7, timestamp: 1, source, destination }
  encodeMessage(writer, head, null, declaration.codec, body)
  return writer.take()
}

t.test('the first bytes of a connection are the documented Hello', async (t) => {
  const dialler = new MuxerEnd({ local: identityOf('a'), isDialer: true })
  dialler.muxer.attach(identityOf('b'), at(0), wall(0))
  const bytes = dialler.pullAll()
  t.equal(
    Buffer.from(bytes).toString('hex'),
    [
      '0000004301000000', // length 67, version 1, critical, type Hello
      '0000000000000000', // message id
      '00062f3f95a00000', // hybrid time
      '0000000000000000', // from end to end
      '0001610474657374', // a node, "a", cluster "test"
      '000101', // cluster id unknown, versions 1 to 1
      '1001010101010101010101010101010101', // boot nonce
      '0000000000000001', // its first hello
      '030104' // four connections are taken
    ].join('')
  )
  t.match(inspectFrame(bytes, catalogue), { name: 'Hello', body: { name: 'a', sequence: 1 } })
})

t.test('handshake, request, answer, go-away: every event, in order', async (t) => {
  const pair = new MuxerPair().pump()
  t.same(pair.dialler.kinds(), ['opened'])
  t.same(pair.acceptor.kinds(), ['opened'])
  const dispatch = { ...normal, deadline: at(100), group: 3 }
  pair.dialler.muxer.request(echo, { count: 1 }, dispatch, 'first', at(0), wall(0))
  pair.pump()
  const request = pair.acceptor.events[1]
  t.match(request, { kind: 'request', body: { count: 1 }, deadline: 100, group: 3 })
  const id = request?.kind === 'request' ? request.id : 0
  pair.acceptor.muxer.answer(id, { count: 2 }, wall(1))
  pair.pump()
  t.match(pair.dialler.events[1], { kind: 'answered', ticket: 'first', body: { count: 2 } })
  pair.dialler.muxer.retire('stopping', at(1))
  pair.pump()
  t.same(pair.acceptor.kinds(), ['opened', 'request', 'goAway', 'done'])
  t.equal(pair.acceptor.doneError, null)
  t.equal(pair.dialler.doneError, null)
})

t.test('X-12: a name in a Hello that the certificate does not prove is refused', async (t) => {
  const pair = new MuxerPair()
  const liar = new MuxerEnd({ local: identityOf('c'), isDialer: true })
  liar.muxer.attach(identityOf('b'), at(0), wall(0))
  pair.acceptor.receive(liar.pullAll())
  t.match(pair.acceptor.doneError, { code: 'ERR_SKEIN_PEER_IDENTITY' })
  pair.dialler.pullAll()
  pair.dialler.receive(pair.acceptor.pullAll())
  t.match(pair.dialler.doneError, {
    code: 'ERR_SKEIN_PEER_IDENTITY',
    details: { reason: 'identity' }
  })
})

t.test('X-12: an index bound to somebody else, or not bound, ends the connection', async (t) => {
  const binder = new MuxerPair().pump()
  binder.acceptor.receive(frame(bindNode, { index: 9, nodeId: node('zz') }))
  t.match(binder.acceptor.doneError, { code: 'ERR_SKEIN_PEER_IDENTITY' })
  const forger = new MuxerPair().pump()
  forger.acceptor.receive(frame(note, { text: 'x' }, { source: 5, destination: 2 }))
  t.match(forger.acceptor.doneError, { code: 'ERR_SKEIN_NOT_AUTHORIZED' })
  const stray = new MuxerPair().pump()
  stray.acceptor.receive(frame(note, { text: 'x' }, { source: 1, destination: 7 }))
  t.match(stray.acceptor.doneError, { code: 'ERR_SKEIN_PROTOCOL' })
})

t.test('another cluster name, another cluster id, no common version: each by name', async (t) => {
  const reasonOf = (pair: MuxerPair) => {
    pair.pump()
    return [pair.dialler, pair.acceptor].map((end) => end.doneError?.details?.reason)
  }
  const elsewhere: PeerIdentity = { kind: 'node', nodeId: node('a'), clusterName: 'other' }
  t.same(reasonOf(new MuxerPair({ local: elsewhere })), ['clusterName', 'clusterName'])
  const ids = [{ clusterId: clusterIdOf('1') }, { clusterId: clusterIdOf('2') }] as const
  t.same(reasonOf(new MuxerPair(...ids)), ['clusterId', 'clusterId'])
  t.same(new MuxerPair(ids[0], ids[0]).pump().dialler.kinds(), ['opened'])
  const { acceptor } = new MuxerPair()
  const said = {
    kind: 'node' as const,
    name: 'a',
    clusterName: 'test',
    clusterId: null,
    versionMin: 2,
    versionMax: 9,
    bootNonce: new Uint8Array(16),
    sequence: 1
  }
  acceptor.receive(frame(hello, said))
  t.match(acceptor.doneError, { details: { reason: 'version' } })
})

t.test('X-27: what a client may not send is refused, and the third time is the last', async (t) => {
  const client: PeerIdentity = { kind: 'client', name: 'app', clusterName: 'test' }
  const pair = new MuxerPair({ local: client }).pump()
  t.same(pair.acceptor.kinds(), ['opened'])
  pair.dialler.muxer.send(note, { text: 'allowed' }, normal, wall(0))
  pair.pump()
  t.match(pair.acceptor.events[1], { kind: 'message', body: { text: 'allowed' } })
  for (let i = 0; i < 2; i++) pair.dialler.muxer.send(bulk, new Uint8Array(3), normal, wall(0))
  pair.pump()
  t.equal(pair.acceptor.counters.get('unauthorized_messages'), 2)
  t.match(pair.dialler.events.at(-1), {
    kind: 'rejected',
    error: { code: 'ERR_SKEIN_NOT_AUTHORIZED' }
  })
  pair.dialler.muxer.send(bulk, new Uint8Array(3), normal, wall(0))
  pair.pump()
  t.match(pair.acceptor.doneError, { code: 'ERR_SKEIN_NOT_AUTHORIZED' })
  t.equal(pair.acceptor.kinds().filter((kind) => kind === 'message').length, 1)
  const audit = pair.acceptor.events.flatMap((event) =>
    event.kind === 'unauthorized' ? [[event.message, event.isLast]] : []
  )
  t.same(audit, [
    ['Bulk', false],
    ['Bulk', false],
    ['Bulk', true]
  ])
})

t.test('X-27: three in one chunk: each is answered, and so is what came before', async (t) => {
  const client: PeerIdentity = { kind: 'client', name: 'app', clusterName: 'test' }
  const pair = new MuxerPair({ local: client }).pump()
  const dispatch = { ...normal, deadline: at(100) }
  pair.dialler.muxer.request(echo, { count: 1 }, dispatch, 'before', at(0), wall(0))
  for (let i = 0; i < 3; i++) pair.dialler.muxer.send(bulk, new Uint8Array(3), normal, wall(0))
  pair.dialler.muxer.send(note, { text: 'too late' }, normal, wall(0))
  pair.acceptor.receive(pair.dialler.pullAll())
  t.same(pair.acceptor.kinds().slice(1), ['request', ...Array(3).fill('unauthorized')])
  const request = pair.acceptor.events[1]
  pair.acceptor.muxer.answer(request?.kind === 'request' ? request.id : 0, { count: 2 }, wall(0))
  pair.dialler.receive(pair.acceptor.pullAll())
  t.same(pair.dialler.kinds().slice(1), [...Array(3).fill('rejected'), 'answered', 'done'])
  t.match(pair.dialler.doneError, { code: 'ERR_SKEIN_CONNECTION_LOST', message: /may not send/ })
  t.match(pair.acceptor.doneError, { code: 'ERR_SKEIN_NOT_AUTHORIZED' })
})

t.test('X-27: a peer that is turned out and does not read has its time, no more', async (t) => {
  const client: PeerIdentity = { kind: 'client', name: 'app', clusterName: 'test' }
  const pair = new MuxerPair({ local: client }).pump()
  for (let i = 0; i < 3; i++) pair.dialler.muxer.send(bulk, new Uint8Array(3), normal, wall(0))
  pair.acceptor.receive(pair.dialler.pullAll())
  t.equal(pair.acceptor.muxer.isUsable, false)
  t.equal(pair.acceptor.doneError, undefined)
  t.equal(pair.acceptor.muxer.nextDeadline(), 1_000)
  pair.acceptor.muxer.handleTimeout(at(1_000), wall(1_000))
  pair.acceptor.collect()
  t.match(pair.acceptor.doneError, { code: 'ERR_SKEIN_NOT_AUTHORIZED' })
})

t.test('restrictions of the configuration take away from a role', async (t) => {
  const restricted = new MessagePolicy({ node: ['Note'], client: [] })
  const pair = new MuxerPair({}, { policy: restricted }).pump()
  pair.dialler.muxer.send(note, { text: 'denied' }, normal, wall(0))
  pair.dialler.muxer.send(bulk, new Uint8Array(3), normal, wall(0))
  pair.pump()
  t.same(pair.acceptor.kinds(), ['opened', 'unauthorized', 'message'])
  t.match(pair.dialler.events.at(-1), { error: { message: /Note is denied to a node here/ } })
  const client: PeerIdentity = { kind: 'client', name: 'app', clusterName: 'test' }
  const toClient = new MuxerPair({ local: client }).pump()
  toClient.acceptor.muxer.send(note, { text: 'not for you' }, normal, wall(0))
  toClient.pump()
  t.match(toClient.dialler.events.at(-1), { kind: 'unauthorized', reason: /not for a client/ })
})

t.test(
  'a restriction that names nothing, a response or the protocol itself is a fault',
  async (t) => {
    const faults = restrictionFaults(
      { node: ['Note', 'Hello'], client: ['EchoResponse', 'Nonsense'] },
      catalogue
    )
    t.same(
      faults.map(({ path }) => path),
      [
        'security.messageRestrictions.node.1',
        'security.messageRestrictions.client.0',
        'security.messageRestrictions.client.1'
      ]
    )
  }
)

t.test(
  'X-18, X-20: lengths, versions, flags and kinds that are wrong end it, told why',
  async (t) => {
    const cases: [string, Uint8Array][] = [
      ['giant length', Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
      ['zero length', new Uint8Array(8)],
      ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
      ['version', frame(note, { text: 'x' }, { version: 2 })],
      ['compressed', frame(note, { text: 'x' }, { flags: FrameFlags.Compressed })],
      ['a request that is none', frame(note, { text: 'x' }, { flags: FrameFlags.Request })],
      ['a request without its flag', frame(echo, { count: 1 })],
      ['a response without its flag', frame(echo.response, { count: 1 })],
      ['a second hello', helloBytes()]
    ]
    for (const [name, bytes] of cases) {
      const pair = new MuxerPair().pump()
      pair.acceptor.receive(bytes)
      t.match(pair.acceptor.doneError, { code: 'ERR_SKEIN_PROTOCOL' }, name)
      pair.dialler.receive(pair.acceptor.pullAll())
      t.match(pair.dialler.doneError, { code: 'ERR_SKEIN_CONNECTION_LOST' }, `${name}: told`)
      t.equal(pair.acceptor.counters.get('protocol_errors'), 1)
    }
  }
)

function helloBytes(): Uint8Array {
  const end = new MuxerEnd({ local: identityOf('a'), isDialer: true })
  end.muxer.attach(identityOf('b'), at(0), wall(0))
  return end.pullAll()
}

t.test('a message before the handshake is not taken', async (t) => {
  const { acceptor } = new MuxerPair()
  acceptor.receive(frame(note, { text: 'x' }))
  t.match(acceptor.doneError, { code: 'ERR_SKEIN_PROTOCOL' })
  t.same(acceptor.kinds(), ['done'])
  t.equal(acceptor.pullAll().length, 0, 'a stranger is told nothing')
})

t.test('X-54: random and mutated bytes never throw, hang or open anything', async (t) => {
  const random = SplittableRandom.fromSeed(11)
  const valid = frame(echo, { count: 1 }, { flags: FrameFlags.Request, source: 1, destination: 2 })
  for (let run = 0; run < someOf(3_000); run++) {
    const { acceptor } = new MuxerPair().pump()
    const bytes = run % 2 === 0 ? new Uint8Array(1 + random.nextInt(200)) : valid.slice()
    const changes = run % 2 === 0 ? bytes.length : 1 + random.nextInt(3)
    for (let i = 0; i < changes; i++) bytes[random.nextInt(bytes.length)] = random.nextInt(256)
    acceptor.receive(bytes)
    const known = ['opened', 'request', 'message', 'done', 'rejected', 'goAway', 'cancelled']
    t.ok(acceptor.kinds().every((kind) => known.includes(kind)) || t.fail(`run ${run}`))
  }
})

t.test('X-25: a flood of pings that are not read ends the connection', async (t) => {
  const pair = new MuxerPair().pump()
  const flood = Buffer.concat(Array.from({ length: 2_000 }, () => frame(ping, { token: 1 })))
  pair.acceptor.receive(flood)
  t.match(pair.acceptor.doneError, { code: 'ERR_SKEIN_PROTOCOL' })
})

t.test('X-16: a handshake that does not come is waited for so long', async (t) => {
  const { acceptor } = new MuxerPair()
  t.equal(acceptor.muxer.nextDeadline(), 1_000)
  acceptor.muxer.handleTimeout(at(999), wall(999))
  acceptor.collect()
  t.equal(acceptor.doneError, undefined)
  acceptor.muxer.handleTimeout(at(1_000), wall(1_000))
  acceptor.collect()
  t.match(acceptor.doneError, { code: 'ERR_SKEIN_CONNECTION_LOST' })
  t.equal(acceptor.muxer.nextDeadline(), Number.POSITIVE_INFINITY)
})

t.test('X-19: half a frame and then silence: the idle deadline closes', async (t) => {
  const pair = new MuxerPair().pump()
  const { acceptor } = pair
  acceptor.receive(Uint8Array.of(0, 0, 0xff, 0, 1, 2))
  t.equal(acceptor.doneError, undefined)
  for (let i = 0; i < 100 && acceptor.doneError === undefined; i++) {
    const due = acceptor.muxer.nextDeadline()
    acceptor.muxer.handleTimeout(at(due), wall(due))
    acceptor.collect()
    acceptor.pullAll()
    if (acceptor.doneError !== undefined) t.ok(due <= 2 * muxerLimits.idleTimeoutMs, `after ${due}`)
  }
  t.match(acceptor.doneError, { code: 'ERR_SKEIN_CONNECTION_LOST' })
})

t.test('a peer that asks and does not read its answers is given up', async (t) => {
  const limits = { sendQueueBytesMax: 65_536 }
  const unknown = new MuxerPair({}, { limits, catalogue: new Catalogue([]) }).pump()
  for (let i = 0; i < 4_000; i++) {
    unknown.dialler.muxer.send(note, { text: 'x' }, normal, wall(0))
  }
  unknown.acceptor.receive(unknown.dialler.pullAll())
  t.match(unknown.acceptor.doneError, { code: 'ERR_SKEIN_CONNECTION_LOST' })
  t.match(unknown.acceptor.doneError?.message, /does not read/)
})

t.test('a sender far ahead in time is counted, its clock is not taken over', async (t) => {
  const pair = new MuxerPair()
  pair.acceptor.muxer.receive(pair.dialler.pullAll(60_000), at(0), wall(0))
  pair.acceptor.collect()
  t.equal(pair.acceptor.counters.get('clock_rejections'), 0)
  pair.pump(0)
  pair.dialler.muxer.send(note, { text: 'from the future' }, normal, wall(60_000))
  pair.acceptor.receive(pair.dialler.pullAll(60_000), 0)
  t.equal(pair.acceptor.counters.get('clock_rejections'), 1)
  t.equal(pair.acceptor.events.at(-1)?.kind, 'message')
})

t.test('an answer stays with its connection: no other knows what it answers', async (t) => {
  const pair = new MuxerPair().pump()
  const { dialler, acceptor } = pair
  const options = { ...normal, deadline: at(1_000) }
  dialler.muxer.request(echo, { count: 4 }, options, 'asked', at(0), wall(0))
  acceptor.receive(dialler.pullAll())
  const asked = acceptor.events.at(-1)
  if (asked?.kind !== 'request') throw new Error('no request')
  acceptor.muxer.answer(asked.id, { count: 4 }, wall(0))
  acceptor.muxer.send(note, { text: 'moves' }, normal, wall(0))
  t.equal(acceptor.muxer.takeUnsent().length, 1, 'the note alone')
  acceptor.muxer.retire('replaced', at(0))
  pair.pump()
  t.match(
    dialler.events.find(({ kind }) => kind === 'answered'),
    { ticket: 'asked' }
  )
})

t.test('unsent messages change the connection with their ids and deadlines', async (t) => {
  const pair = new MuxerPair().pump()
  const waiting = new MuxerEnd({ local: identityOf('a'), isDialer: true })
  waiting.muxer.request(
    echo,
    { count: 4 },
    { ...normal, deadline: at(50) },
    'moved',
    at(0),
    wall(0)
  )
  waiting.muxer.send(note, { text: 'moved too' }, normal, wall(0))
  pair.dialler.muxer.adopt(waiting.muxer.takeUnsent())
  waiting.muxer.abort(new Error('gone') as never)
  waiting.collect()
  t.same(waiting.kinds(), ['done'])
  pair.pump()
  t.same(pair.acceptor.kinds(), ['opened', 'request', 'message'])
  pair.dialler.muxer.handleTimeout(at(50), wall(50))
  pair.dialler.collect()
  t.match(pair.dialler.events.at(-1), {
    kind: 'failed',
    ticket: 'moved',
    error: { code: 'ERR_SKEIN_TIMEOUT' }
  })
  pair.pump()
  t.equal(pair.acceptor.events.at(-1)?.kind, 'cancelled')
})
