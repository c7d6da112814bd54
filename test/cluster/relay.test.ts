import { type AddressInfo, createServer } from 'node:net'
import t, { type Test } from 'tap'
import {
  type Address,
  after,
  type ByteStream,
  type Config,
  DialFailedError,
  type NodeId,
  type PeerIdentity,
  Priorities,
  resolveConfig,
  SplittableRandom,
  type StreamNetwork,
  silentLogger
} from '../../src/core/index.js'
import { TransportDriver } from '../../src/network/index.js'
import { nodeClock, nodeCrypto, TlsStreamNetwork } from '../../src/runtime/index.js'
import { TestAuthority } from '../support/test-authority.js'
import { catalogue, echo, node } from '../support/transport-world.js'
import { vacantAddress } from '../support/vacant-port.js'

const clock = nodeClock()
const clusterName = 'relayed'
const nextTurn = () => new Promise((resolve) => setImmediate(resolve))
const soon = (ms = 5_000) => after(clock.now(), ms)

/** Direct dials between two nodes that are cut from one another fail, and what stood breaks. */
class Cuts {
  readonly #cut = new Set<string>()
  readonly #open = new Map<string, Set<ByteStream>>()

  cut(a: string, b: string): void {
    for (const pair of [`${a}>${b}`, `${b}>${a}`]) {
      this.#cut.add(pair)
      for (const stream of this.#open.get(pair) ?? []) stream.destroy()
      this.#open.delete(pair)
    }
  }

  heal(): void {
    this.#cut.clear()
  }

  over(streams: StreamNetwork, self: string, nameAt: (address: Address) => string): StreamNetwork {
    return {
      listen: (address, onStream) => streams.listen(address, onStream),
      pipe: (address, deadline) => streams.pipe(address, deadline),
      dial: async (address, options) => {
        const pair = `${self}>${nameAt(address)}`
        if (options.through !== undefined) return streams.dial(address, options)
        if (this.#cut.has(pair)) throw new DialFailedError(`${pair} is cut`)
        const stream = await streams.dial(address, options)
        this.#open.set(pair, (this.#open.get(pair) ?? new Set()).add(stream))
        return stream
      }
    }
  }
}

interface WorldOptions {
  readonly relaysServedMax?: number
}

/** Nodes on this machine that know one another's addresses and may be cut from one another. */
class World {
  readonly cuts = new Cuts()
  readonly addresses = new Map<NodeId, Address>()
  /** By `from>to`: by way of whom. */
  readonly relays = new Map<string, NodeId>()
  readonly #t: Test
  readonly #authority: TestAuthority
  readonly #config: Config['transport']

  constructor(t: Test, authority: TestAuthority, config: Config['transport']) {
    this.#t = t
    this.#authority = authority
    this.#config = config
  }

  static async make(t: Test, options: WorldOptions = {}): Promise<World> {
    const { transport } = resolveConfig({
      code: {
        node: { id: 'a', dataDirectory: 'data' },
        security: { insecure: true },
        cluster: { bootstrap: { voters: ['a'] } },
        transport: options
      }
    })
    return new World(t, await TestAuthority.make(t, clusterName), transport)
  }

  async start(name: string): Promise<TransportDriver> {
    const peer: PeerIdentity = { kind: 'node', nodeId: node(name), clusterName }
    const material = await this.#authority.material(peer)
    const streams = new TlsStreamNetwork(
      { clock, logger: silentLogger },
      { material, handshakeTimeoutMs: 10_000, handshakesMax: 16 }
    )
    const driver = new TransportDriver(
      {
        clock,
        random: SplittableRandom.fromSeed(name.charCodeAt(0)),
        streams: this.cuts.over(streams, name, (address) => this.#nameAt(address)),
        catalogue,
        logger: silentLogger,
        addressOf: (id) => this.addresses.get(id),
        nonces: nodeCrypto(),
        relayFor: (to) => this.relays.get(`${name}>${to}`) ?? null
      },
      {
        identity: peer,
        clusterId: () => null,
        onPeerClusterId: () => {},
        listenAddress: '127.0.0.1:0',
        config: this.#config
      }
    )
    this.#t.teardown(() => driver.stop())
    this.addresses.set(node(name), (await driver.start()).address)
    return driver
  }

  #nameAt(address: Address): string {
    return [...this.addresses].find(([, known]) => known === address)?.[0] ?? 'nobody'
  }
}

t.test('urgent messages go by way of a third node, proven end to end, and come back', async (t) => {
  const world = await World.make(t, { relaysServedMax: 1 })
  const { addresses, cuts, relays } = world
  const start = async (name: string) => {
    const driver = await world.start(name)
    const heardFrom: PeerIdentity[] = []
    driver.onRequest(echo, async ({ peer: from, body }) => {
      heardFrom.push(from)
      return body
    })
    return { driver, heardFrom }
  }
  const [a, b, c, d] = [await start('a'), await start('b'), await start('c'), await start('d')]
  const ask = (from: typeof a, to: string, count: number, options = {}) =>
    from.driver.request(
      node(to),
      echo,
      { count },
      { deadline: soon(), priority: Priorities.High, ...options }
    )
  t.same(await ask(a, 'b', 1), { count: 1 })

  relays.set('a>b', node('gone'))
  addresses.set(node('gone'), await vacantAddress(t))
  t.same(await ask(a, 'b', 1), { count: 1 }, 'a detour that does not stand is not waited for')

  cuts.cut('a', 'b')
  relays.set('a>b', node('c'))
  while ((await ask(a, 'b', 2).catch(() => null)) === null) await nextTurn()
  t.same(await ask(a, 'b', 2), { count: 2 }, 'by way of c')
  t.same(b.heardFrom.at(-1), { kind: 'node', nodeId: 'a', clusterName }, 'from a, not from c')
  t.equal(c.heardFrom.length, 0, 'c read nothing of it')
  t.match(c.driver.counters.snapshot(), { relays_served: 1, relays_refused: 0 })
  t.ok(c.driver.counters.get('relayed_bytes') > 1_000)
  const dialled = a.driver.counters.get('relays_dialled')
  t.equal(a.driver.isConnected(node('b')), false, 'a detour is no connection')
  t.same(await ask(b, 'a', 3), { count: 3 }, 'the other end uses the same way back')
  const many = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(a, 'b', i)))
  t.same(many.at(-1), { count: 199 })
  t.equal(a.driver.counters.get('relays_dialled'), dialled, 'one detour for all of them')

  const direct = ask(a, 'b', 4, { direct: true, deadline: soon(300) })
  await t.rejects(direct, 'who measures the path itself is not sent round')
  const plain = ask(a, 'b', 5, { priority: Priorities.Normal, deadline: soon(300) })
  await t.rejects(plain, 'what is not urgent waits for the direct path')

  cuts.cut('d', 'b')
  relays.set('d>b', node('c'))
  await t.rejects(ask(d, 'b', 6, { deadline: soon(1_000) }), 'c carries one at a time')
  t.ok(c.driver.counters.get('relays_refused') >= 1)

  cuts.heal()
  relays.clear()
  a.driver.endDetour(node('b'))
  const refusals = new Set<string>()
  // The pause after the last failed dial must pass.
  while (!a.driver.isConnected(node('b'))) {
    await ask(a, 'b', 7, { direct: true }).catch(({ code }) => refusals.add(code))
    await nextTurn()
  }
  refusals.delete('ERR_SKEIN_NOT_SENT')
  t.same([...refusals], [], 'what did not leave says so')
  const relayed = c.driver.counters.get('relayed_bytes')
  t.same(await ask(a, 'b', 8), { count: 8 })
  t.equal(a.driver.isConnected(node('b')), true)
  t.equal(c.driver.counters.get('relayed_bytes'), relayed, 'nothing more passes c')
})

t.test('X-33 a relay reaches members alone, and never itself or who asks', async (t) => {
  const world = await World.make(t)
  const [a, c] = [await world.start('a'), await world.start('c')]
  for (const target of ['c', 'a', 'stranger', '127.0.0.1:22', '', 'x'.repeat(100)]) {
    const channel = await a.channels.open(node('c'), 'skein.relay')
    await channel.write(Buffer.from(`${target}\n`))
    await t.rejects(channel.read(), { code: 'ERR_SKEIN_STREAM_RESET' }, target)
  }
  t.equal(c.counters.get('relays_served'), 0)
  t.equal(c.counters.get('relays_refused'), 6)
})

t.test('a relay holds many small pieces for a slow taker, and loses none', async (t) => {
  const world = await World.make(t)
  const piece = new Uint8Array(500).fill(7)
  const pieces = 2_000
  const target = createServer(async (socket) => {
    socket.setNoDelay(true)
    for (let i = 0; i < pieces; i++) {
      socket.write(piece)
      await nextTurn()
    }
    socket.end()
  })
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
  t.teardown(() => target.close())
  const { port } = target.address() as AddressInfo
  world.addresses.set(node('b'), `127.0.0.1:${port}`)
  const [a, c] = [await world.start('a'), await world.start('c')]
  const channel = await a.channels.open(node('c'), 'skein.relay')
  await channel.write(Buffer.from('b\n'))
  while (c.counters.get('relayed_bytes') < pieces * piece.length) await nextTurn()
  let received = 0
  for await (const bytes of channel) received += bytes.length
  t.equal(received, 1 + pieces * piece.length)
})
