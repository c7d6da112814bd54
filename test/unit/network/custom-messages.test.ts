import t from 'tap'
import { CustomHandlers } from '../../../src/network/custom/custom-handlers.js'
import { customMessage } from '../../../src/network/custom/messages.js'
import { deliveryMessages } from '../../../src/network/delivery/messages.js'
import { controlMessages } from '../../../src/network/mux/messages.js'
import { Catalogue, defineMessage, defineRequest, schema } from '../../../src/wire/index.js'
import { bulk, node, TransportWorld } from '../../support/transport-world.js'

const greet = defineMessage({
  number: 0xf100,
  name: 'Greet',
  body: schema.openStruct({ text: schema.text(20) })
})
/** A language of its own: JSON. */
const sum = defineRequest<readonly number[], number>({
  number: 0xf101,
  name: 'Sum',
  body: {
    encode: (terms) => Buffer.from(JSON.stringify(terms)),
    decode: (bytes) => JSON.parse(Buffer.from(bytes).toString())
  },
  answer: {
    encode: (total) => Buffer.from(JSON.stringify(total)),
    decode: (bytes) => {
      const total: unknown = JSON.parse(Buffer.from(bytes).toString())
      if (typeof total !== 'number') throw new Error('no number')
      return total
    }
  }
})
const catalogue = new Catalogue([
  ...controlMessages,
  ...deliveryMessages,
  customMessage,
  greet,
  sum
])

t.test('own messages travel, in our language and in theirs', async (t) => {
  const world = new TransportWorld()
  const a = await world.start('a', { catalogue })
  const b = await world.start('b', { catalogue })
  const early = new CustomHandlers(catalogue)
  const heard: unknown[] = []
  early.onMessage(greet, ({ from, body }) => heard.push([from, body.text]))
  early.attach(world.deliveryOf(b, catalogue))
  early.onMessage(customMessage, ({ body }) => heard.push([body.msgType, [...body.payload]]))
  early.onRequest(sum, async ({ body }) => body.reduce((total, term) => total + term, 0))
  a.send(node('b'), greet, { text: 'hello' })
  a.send(node('b'), customMessage, { msgType: 'cache', payload: Uint8Array.of(1, 2) })
  const answer = a.request(node('b'), sum, [1, 2, 3], world.deadline(100))
  t.equal(await world.outcome(answer), 6)
  t.same(heard, [
    ['a', 'hello'],
    ['cache', [1, 2]]
  ])
})

t.test('a body that its codec cannot read costs the message, not the connection', async (t) => {
  const world = new TransportWorld()
  const broken = new Catalogue([
    ...controlMessages,
    defineRequest({
      number: 0xf101,
      name: 'Sum',
      body: { encode: () => Buffer.from('{'), decode: () => null },
      answer: { encode: () => Buffer.from('[]'), decode: () => null }
    })
  ])
  const a = await world.start('a', { catalogue: broken })
  const b = await world.start('b', { catalogue })
  b.onRequest(sum, async () => 0)
  t.equal(
    await world.outcome(a.request(node('b'), sum, [], world.deadline(100))),
    'ERR_SKEIN_PROTOCOL'
  )
  t.equal(b.counters.get('unreadable_messages'), 1)
  a.onRequest(sum, async () => 0)
  t.equal(
    await world.outcome(b.request(node('a'), sum, [1], world.deadline(100))),
    'ERR_SKEIN_PROTOCOL',
    'nor does an answer'
  )
  t.ok(a.isConnected(node('b')))
  t.equal(a.counters.get('connection_errors') + b.counters.get('connection_errors'), 0)
})

t.test('a value that does not fit its codec is the argument’s fault', async (t) => {
  const world = new TransportWorld()
  const a = await world.start('a', { catalogue })
  await world.start('b', { catalogue })
  t.throws(() => a.send(node('b'), greet, { text: 'x'.repeat(21) }), {
    code: 'ERR_SKEIN_INVALID_ARGUMENT',
    message: /text\(20\)/
  })
})

t.test('numbers, names and handlers that are not an embedder’s are refused', async (t) => {
  const body = schema.openStruct({})
  for (const number of [0, 0x0300, 0xf000, 0x10000, 0xf001 + 0.5]) {
    t.throws(() => defineMessage({ number, name: 'Mine', body }), {
      code: 'ERR_SKEIN_INVALID_ARGUMENT',
      message: /^number/
    })
  }
  t.throws(() => defineRequest({ number: 0xffff, name: 'Mine', body, answer: body }), {
    message: /^number/
  })
  t.throws(() => defineMessage({ number: 0xf002, name: 'not mine', body }), { message: /^name/ })
  const handlers = new CustomHandlers(catalogue)
  t.throws(() => handlers.onMessage(bulk, () => {}), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  t.throws(() => handlers.onMessage(controlMessages[3], () => {}), { message: /^type/ })
})

t.test('a one-way message that nobody takes is answered by code', async (t) => {
  const world = new TransportWorld()
  const a = await world.start('a', { catalogue })
  const b = await world.start('b', { catalogue })
  a.send(node('b'), greet, { text: 'anybody?' })
  await world.clock.until(() => b.counters.get('unknown_messages') === 1)
  await world.clock.until(() => a.counters.get('late_answers') === 1)
  t.ok(a.isConnected(node('b')))
})
