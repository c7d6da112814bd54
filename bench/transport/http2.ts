import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createSecureServer,
  type ServerHttp2Stream
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { FrameReader, FrameWriter } from './frames.js'
import { type BenchClient, type BenchPeer, type BenchServer, host, type Material } from './peer.js'

const oneWay = 0xffff_ffff
const windowBytes = 8 * 1024 * 1024
const settings = { initialWindowSize: windowBytes, maxConcurrentStreams: 2_048 }

const optionsOf = ({ certificate, key, authority }: Material) => ({
  cert: certificate,
  key,
  ca: authority,
  minVersion: 'TLSv1.3' as const,
  requestCert: true,
  rejectUnauthorized: true,
  checkServerIdentity: () => undefined,
  maxSessionMemory: 1_000,
  settings
})

async function serve(material: Material): Promise<BenchServer> {
  const server = createSecureServer(optionsOf(material))
  server.on('session', (session) => session.setLocalWindowSize(windowBytes))
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => stream.destroy())
    stream.respond({ ':status': 200 })
    switch (headers[':path']) {
      case '/frames': {
        const writer = new FrameWriter(stream)
        const reader = new FrameReader((id, payload) => {
          if (id !== oneWay) writer.write(id, payload)
        })
        stream.on('data', (chunk: Buffer) => reader.push(chunk))
        return
      }
      case '/bulk': {
        let bytes = 0
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length
        })
        stream.on('end', () => stream.end(String(bytes)))
        return
      }
      default:
        stream.pipe(stream)
    }
  })
  server.listen(0, host)
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port }
}

async function dial(material: Material, port: number): Promise<ClientHttp2Session> {
  const session = connect(`https://${host}:${port}`, optionsOf(material))
  await once(session, 'connect')
  session.setLocalWindowSize(windowBytes)
  return session
}

const open = (session: ClientHttp2Session, path: string): ClientHttp2Stream =>
  session.request({ ':method': 'POST', ':path': path }, { endStream: false })

/** The same frames as raw TLS, inside one stream that stays open. */
export const http2Stream: BenchPeer = {
  serve,
  async connect(material, port) {
    const session = await dial(material, port)
    const stream = open(session, '/frames')
    const writer = new FrameWriter(stream)
    const waiting = new Map<number, () => void>()
    let ids = 0
    const reader = new FrameReader((id) => {
      const done = waiting.get(id)
      waiting.delete(id)
      done?.()
    })
    stream.on('data', (chunk: Buffer) => reader.push(chunk))
    const client: BenchClient = {
      request(payload, done) {
        ids = (ids + 1) % oneWay
        waiting.set(ids, done)
        writer.write(ids, payload)
      },
      send(payload, onRoom) {
        if (writer.write(oneWay, payload)) return true
        writer.flush()
        stream.once('drain', onRoom)
        return false
      },
      async bulk(chunk, ms) {
        const bulk = open(session, '/bulk')
        const until = performance.now() + ms
        let answer = ''
        bulk.on('data', (bytes: Buffer) => {
          answer += bytes.toString()
        })
        while (performance.now() < until) {
          if (!bulk.write(chunk)) await once(bulk, 'drain')
        }
        bulk.end()
        await once(bulk, 'close')
        return Number(answer)
      }
    }
    return client
  }
}

/** A stream for each request. */
export const http2Unary: BenchPeer = {
  serve,
  async connect(material, port) {
    const session = await dial(material, port)
    return {
      request(payload, done) {
        const stream = open(session, '/echo')
        stream.on('data', () => {})
        stream.on('end', done)
        stream.end(payload)
      }
    }
  }
}
