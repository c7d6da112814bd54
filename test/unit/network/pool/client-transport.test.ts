import t from 'tap'
import { controlMessages } from '../../../../src/network/mux/messages.js'
import { Catalogue, declareRequest, openStruct, u32 } from '../../../../src/wire/index.js'
import { echo, node, note, TransportWorld } from '../../../support/transport-world.js'

const amongNodes = declareRequest({
  number: 0xf010,
  name: 'AmongNodes',
  priority: 1,
  body: openStruct({ count: u32 }),
  answer: openStruct({ count: u32 }),
  about: 'For tests.'
})
const catalogue = new Catalogue([...controlMessages, note, echo, amongNodes])

async function world() {
  const world = new TransportWorld()
  const a = await world.start('a', { catalogue })
  const b = await world.start('b', { catalogue })
  const client = world.create('app', { catalogue, isClient: true })
  for (const driver of [a, b]) {
    driver.onRequest(echo, async ({ body, from }) => {
      t.equal(from, 'client:app')
      return { count: body.count + 1 }
    })
    driver.onRequest(amongNodes, async ({ body }) => body)
  }
  return { world, a, b, client }
}

t.test(
  'a client learns who answers at a seed address, and is answered by every node',
  async (t) => {
    const { world: w, client } = await world()
    const { deadline } = w.deadline(1_000)
    t.equal(await w.outcome(client.dialAddress(w.addressOf('a'), deadline)), 'a')
    for (const to of ['a', 'b']) {
      const answer = client.request(node(to), echo, { count: 1 }, { deadline })
      t.same(await w.outcome(answer), { count: 2 })
    }
    t.equal(w.hub.ends.length, 4, 'one connection to each')
    t.ok(client.isConnected(node('a')))
  }
)

t.test('X-27: what only nodes may ask is refused to a client, and nobody dials it', async (t) => {
  const { world: w, a, client } = await world()
  const { deadline } = w.deadline(1_000)
  const refused = client.request(node('a'), amongNodes, { count: 1 }, { deadline })
  t.equal(await w.outcome(refused), 'ERR_SKEIN_NOT_AUTHORIZED')
  const back = a.request(node('client:app'), echo, { count: 1 }, { deadline })
  t.equal(await w.outcome(back), 'ERR_SKEIN_NOT_SENT')
  t.notOk(a.isConnected(node('client:app')))
})

t.test('two clients of one name have connections of their own', async (t) => {
  const { world: w, a, client } = await world()
  const twin = w.create('app', { catalogue, isClient: true })
  const { deadline } = w.deadline(1_000)
  for (const one of [client, twin, client]) {
    t.same(await w.outcome(one.request(node('a'), echo, { count: 4 }, { deadline })), { count: 5 })
  }
  t.equal(a.counters.get('connections_replaced'), 0)
  t.equal(w.hub.ends.length, 4)
})

t.test('a stopped client sends nothing and leaves no connection', async (t) => {
  const { world: w, client } = await world()
  const { deadline } = w.deadline(1_000)
  await w.outcome(client.request(node('a'), echo, { count: 1 }, { deadline }))
  await w.outcome(client.stop())
  const late = client.request(node('a'), echo, { count: 1 }, { deadline })
  t.equal(await w.outcome(late), 'ERR_SKEIN_NOT_SENT')
  t.notOk(client.isConnected(node('a')))
})
