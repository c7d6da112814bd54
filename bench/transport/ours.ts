import { resolveConfig } from '../../src/core/config/resolve.js'
import {
  type ByteChannel,
  hasCode,
  type MonotonicMs,
  type NodeId,
  type PeerIdentity,
  Priorities,
  silentLogger
} from '../../src/core/index.js'
import { controlMessages, TransportDriver } from '../../src/network/index.js'
import {
  nodeClock,
  nodeCrypto,
  nodeRandom,
  readTlsMaterial,
  TlsStreamNetwork
} from '../../src/runtime/index.js'
import { bytes, Catalogue, declareMessage, declareRequest } from '../../src/wire/index.js'
import { type BenchPeer, host, type Material } from './peer.js'

const clusterName = 'bench'
const payloadBytesMax = 512 * 1024
const requestTimeoutMs = 30_000

const echo = declareRequest({
  number: 0xf000,
  name: 'BenchEcho',
  priority: Priorities.Normal,
  body: bytes(payloadBytesMax),
  answer: bytes(payloadBytesMax),
  about: 'Asks for the same bytes.'
})
const urgentEcho = declareRequest({
  number: 0xf002,
  name: 'BenchUrgentEcho',
  priority: Priorities.Critical,
  body: bytes(payloadBytesMax),
  answer: bytes(payloadBytesMax),
  about: 'Asks for the same bytes, before everything else.'
})
const oneWay = declareMessage({
  number: 0xf004,
  name: 'BenchOneWay',
  priority: Priorities.Normal,
  body: bytes(payloadBytesMax),
  about: 'Wants no answer.'
})

/** Skein's transport, as every room has it. */
export const ours: BenchPeer = {
  async serve(material) {
    const driver = await driverOf('server', material)
    driver.onMessage(oneWay, () => {})
    driver.onRequest(echo, async ({ body }) => body)
    driver.onRequest(urgentEcho, async ({ body }) => body)
    driver.channels.accept('bulk', (channel) => void sink(channel))
    const { address } = await driver.start()
    return { port: Number(address.split(':')[1]) }
  },

  async connect(material, port) {
    const driver = await driverOf('client', material)
    const to = 'server' as NodeId
    const address = `${host}:${port}`
    const clock = nodeClock()
    const deadline = () => (clock.now() + requestTimeoutMs) as MonotonicMs
    await driver.dialAddress(address, deadline())
    // A full send queue is the caller's to wait for: it counts bytes, and an answer makes room.
    const waiting: (() => void)[] = []
    let asked = 0
    const ask = (type: typeof echo, payload: Uint8Array, done: () => void): void => {
      asked++
      const onAnswer = () => {
        asked--
        done()
        waiting.shift()?.()
      }
      driver.request(to, type, payload, { deadline: deadline() }).then(onAnswer, (error) => {
        if (!hasCode(error, 'ERR_SKEIN_BACKPRESSURE')) throw error
        asked--
        const again = () => ask(type, payload, done)
        // Behind messages that want no answer there is none to wait for.
        if (asked > 0) waiting.push(again)
        else setImmediate(again)
      })
    }
    return {
      request: (payload, done) => ask(echo, payload, done),
      urgent: (payload, done) => ask(urgentEcho, payload, done),
      send(payload, onRoom) {
        if (driver.send(to, oneWay, payload)) return true
        setImmediate(onRoom)
        return false
      },
      async bulk(chunk, ms) {
        const channel = await driver.channels.open(to, 'bulk', {
          priority: Priorities.Low,
          address
        })
        const until = clock.now() + ms
        while (clock.now() < until) await channel.write(chunk)
        channel.end()
        let answer = ''
        for await (const part of channel) answer += Buffer.from(part).toString()
        return Number(answer)
      }
    }
  }
}

/** Counts to the end, and says how much it was. */
async function sink(channel: ByteChannel): Promise<void> {
  let count = 0
  for await (const chunk of channel) count += chunk.length
  await channel.write(Buffer.from(String(count)))
  channel.end()
}

async function driverOf(name: string, material: Material): Promise<TransportDriver> {
  const identity: PeerIdentity = { kind: 'node', nodeId: name as NodeId, clusterName }
  const clock = nodeClock()
  const tls = await readTlsMaterial(material.files, clock.wallNow())
  const config = resolveConfig({
    code: {
      node: { id: name, dataDirectory: 'unused' },
      security: { insecure: true },
      cluster: { bootstrap: { voters: [name] } }
    }
  })
  return new TransportDriver(
    {
      clock,
      random: nodeRandom(),
      streams: new TlsStreamNetwork(
        { clock, logger: silentLogger },
        { material: tls, handshakeTimeoutMs: 5_000, handshakesMax: 16 }
      ),
      catalogue: new Catalogue([...controlMessages, echo, urgentEcho, oneWay]),
      logger: silentLogger,
      addressOf: () => undefined,
      nonces: nodeCrypto()
    },
    {
      identity,
      clusterId: () => null,
      onPeerClusterId: () => {},
      listenAddress: `${host}:0`,
      config: config.transport
    }
  )
}
