import t from 'tap'
import {
  type ByteStream,
  type MonotonicMs,
  type NodeId,
  type PeerIdentity,
  type StreamEnd,
  type StreamNetwork,
  toNodeId
} from '../../../src/core/index.js'

type Tap = { teardown(handler: () => unknown): void }

/** One node's or client's view of the same network. */
export interface StreamWorld {
  networkOf(peer: PeerIdentity): StreamNetwork
  /** A fresh address to listen on. */
  address(): string
  /** An address where nobody listens. */
  vacantAddress(): Promise<string>
  deadline(ms: number): MonotonicMs
}

export const clusterName = 'contract'
export const nodePeer = (id: string): PeerIdentity => ({
  kind: 'node',
  nodeId: toNodeId(id),
  clusterName
})

/** What every `StreamNetwork` owes its callers. */
export function streamNetworkContract(name: string, make: (t: Tap) => Promise<StreamWorld>): void {
  t.test(`${name}: both ends know one another and talk both ways`, async (t) => {
    const { near, far } = await connected(t, await make(t))
    t.same(near.stream.peer, nodePeer('b'))
    t.same(far.stream.peer, nodePeer('a'))
    near.stream.write(bytes('ping'))
    await far.until((state) => state.text === 'ping')
    far.stream.write(bytes('po'))
    far.stream.write(bytes('ng'))
    await near.until((state) => state.text === 'pong')
  })

  t.test(`${name}: what is written before the other side attaches is kept`, async (t) => {
    const world = await make(t)
    const { dialled, accepted } = await pair(t, world)
    dialled.write(bytes('early'))
    const far = new End(accepted)
    await far.until((state) => state.text === 'early')
    new End(dialled)
    t.pass('it arrived')
  })

  t.test(
    `${name}: who dials through a relay is known end to end, and so is who answers`,
    async (t) => {
      const world = await make(t)
      const accepted: ByteStream[] = []
      const b = await world.networkOf(nodePeer('b')).listen(world.address(), (stream) => {
        accepted.push(stream)
      })
      t.teardown(() => b.close())
      const relay = world.networkOf(nodePeer('c'))
      const a = world.networkOf(nodePeer('a'))
      const dialThrough = async (expected: string) => {
        const through = await relay.pipe(b.address, world.deadline(2_000))
        const expectedNodeId = toNodeId(expected)
        return a.dial(b.address, { expectedNodeId, deadline: world.deadline(2_000), through })
      }
      const near = new End(await dialThrough('b'))
      t.same(near.stream.peer, nodePeer('b'))
      near.stream.write(bytes('hello '))
      near.stream.write(new Uint8Array(300_000).fill(0x2e))
      while (accepted.length === 0) await new Promise((resolve) => setImmediate(resolve))
      const [stream] = accepted as [ByteStream]
      t.same(stream.peer, nodePeer('a'), 'not the relay')
      const far = new End(stream)
      await far.until(({ received }) => received === 300_006)
      far.stream.write(bytes('back'))
      await near.until(({ text }) => text === 'back')
      near.stream.end()
      t.equal(await far.ended, 'closed')
      await t.rejects(dialThrough('d'), { code: 'ERR_SKEIN_PEER_IDENTITY' })
      const vacant = await world.vacantAddress()
      await t.rejects(relay.pipe(vacant, world.deadline(2_000)), { code: 'ERR_SKEIN_DIAL_FAILED' })
    }
  )

  t.test(`${name}: a full buffer answers false, then drains`, async (t) => {
    const { near, far } = await connected(t, await make(t))
    const chunk = new Uint8Array(64 * 1024)
    let written = 0
    let isWritable = true
    while (isWritable && written < 512) {
      isWritable = near.stream.write(chunk)
      written++
    }
    t.equal(isWritable, false, `full after ${written} chunks`)
    t.ok(near.stream.bufferedBytes > 0)
    await near.until((state) => state.drains > 0)
    await far.until((state) => state.received === written * chunk.length)
    t.equal(near.stream.bufferedBytes, 0)
  })

  t.test(`${name}: end delivers what was written, then closes both sides`, async (t) => {
    const { near, far } = await connected(t, await make(t))
    near.stream.write(bytes('last words'))
    near.stream.end()
    t.equal(await far.ended, 'closed')
    t.equal(far.text, 'last words')
    t.equal(await near.ended, 'local')
  })

  t.test(`${name}: destroy closes both sides, each told once`, async (t) => {
    const { near, far } = await connected(t, await make(t))
    near.stream.destroy()
    near.stream.destroy()
    t.equal(await near.ended, 'local')
    t.match(await far.ended, /^(closed|reset)$/)
    t.same([near.closes, far.closes], [1, 1])
    near.stream.write(bytes('into the void'))
  })

  t.test(`${name}: a client is known as one`, async (t) => {
    const world = await make(t)
    const client: PeerIdentity = { kind: 'client', name: 'app', clusterName }
    const { accepted } = await pair(t, world, client)
    t.same(accepted.peer, client)
  })

  t.test(`${name}: a seed address is dialled without knowing who is there`, async (t) => {
    const world = await make(t)
    const { dialled } = await pair(t, world, nodePeer('a'), null)
    t.same(dialled.peer, nodePeer('b'))
  })

  t.test(`${name}: R X-12 another node than the expected one is refused`, async (t) => {
    const world = await make(t)
    const listener = await world.networkOf(nodePeer('b')).listen(world.address(), drop)
    t.teardown(() => listener.close())
    const options = { expectedNodeId: toNodeId('c'), deadline: world.deadline(10_000) }
    await t.rejects(world.networkOf(nodePeer('a')).dial(listener.address, options), {
      code: 'ERR_SKEIN_PEER_IDENTITY'
    })
  })

  t.test(`${name}: nobody there is a failed dial, at once or at the deadline`, async (t) => {
    const world = await make(t)
    const options = { expectedNodeId: toNodeId('b'), deadline: world.deadline(2_000) }
    await t.rejects(world.networkOf(nodePeer('a')).dial(await world.vacantAddress(), options), {
      code: 'ERR_SKEIN_DIAL_FAILED'
    })
  })

  t.test(`${name}: a closed listener takes nobody; accepted streams live on`, async (t) => {
    const world = await make(t)
    const { dialled, accepted, listener } = await pair(t, world)
    await listener.close()
    const near = new End(dialled)
    const far = new End(accepted)
    near.stream.write(bytes('still here'))
    await far.until((state) => state.text === 'still here')
    const options = { expectedNodeId: toNodeId('b'), deadline: world.deadline(2_000) }
    await t.rejects(world.networkOf(nodePeer('a')).dial(listener.address, options), {
      code: 'ERR_SKEIN_DIAL_FAILED'
    })
  })

  t.test(`${name}: an address is listened on once`, async (t) => {
    const world = await make(t)
    const network = world.networkOf(nodePeer('b'))
    const listener = await network.listen(world.address(), drop)
    t.teardown(() => listener.close())
    await t.rejects(network.listen(listener.address, drop), { code: 'ERR_SKEIN_LISTEN_FAILED' })
  })
}

/** One end of a stream with what happened to it. */
export class End {
  readonly stream: ByteStream
  readonly ended: Promise<StreamEnd>
  text = ''
  received = 0
  drains = 0
  closes = 0
  #wake = () => {}

  constructor(stream: ByteStream) {
    this.stream = stream
    this.ended = new Promise((resolve) => {
      stream.attach({
        onData: (chunk) => {
          this.received += chunk.length
          if (this.received <= 4096) this.text += Buffer.from(chunk).toString()
          this.#wake()
        },
        onDrain: () => {
          this.drains++
          this.#wake()
        },
        onClose: (end) => {
          this.closes++
          resolve(end)
        }
      })
    })
  }

  async until(holds: (end: End) => boolean): Promise<void> {
    while (!holds(this)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

export async function pair(
  t: Tap,
  world: StreamWorld,
  dialler: PeerIdentity = nodePeer('a'),
  expectedNodeId: NodeId | null = toNodeId('b')
) {
  let onStream = (_: ByteStream) => {}
  const acceptedOne = new Promise<ByteStream>((resolve) => {
    onStream = resolve
  })
  const listener = await world.networkOf(nodePeer('b')).listen(world.address(), (s) => onStream(s))
  t.teardown(() => listener.close())
  const options = { expectedNodeId, deadline: world.deadline(10_000) }
  const dialled = await world.networkOf(dialler).dial(listener.address, options)
  t.teardown(() => dialled.destroy())
  const accepted = await acceptedOne
  t.teardown(() => accepted.destroy())
  return { dialled, accepted, listener }
}

async function connected(t: Tap, world: StreamWorld) {
  const { dialled, accepted } = await pair(t, world)
  return { near: new End(dialled), far: new End(accepted) }
}

const drop = (stream: ByteStream) => stream.destroy()
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
