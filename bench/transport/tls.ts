import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { FrameReader, FrameWriter } from './frames.js'
import { type BenchPeer, host, type Material } from './peer.js'

const oneWay = 0xffff_ffff
const bulkPath = 'bulk'
const bufferBytes = 256 * 1024

const optionsOf = ({ certificate, key, authority }: Material) => ({
  cert: certificate,
  key,
  ca: authority,
  minVersion: 'TLSv1.3' as const,
  requestCert: true,
  rejectUnauthorized: true,
  checkServerIdentity: () => undefined
})

/** `node:tls` with the plainest frames: the ceiling. Bulk goes over a connection without frames. */
export const rawTls: BenchPeer = {
  async serve(material) {
    const server = createServer({
      ...optionsOf(material),
      ALPNProtocols: ['frames', bulkPath],
      highWaterMark: bufferBytes
    })
    server.on('secureConnection', (socket) => {
      socket.setNoDelay(true)
      socket.on('error', () => socket.destroy())
      if (socket.alpnProtocol === bulkPath) {
        sink(socket)
        return
      }
      const writer = new FrameWriter(socket)
      const reader = new FrameReader((id, payload) => {
        if (id !== oneWay) writer.write(id, payload)
      })
      socket.on('data', (chunk: Buffer) => reader.push(chunk))
    })
    server.listen(0, host)
    await once(server, 'listening')
    return { port: (server.address() as AddressInfo).port }
  },

  async connect(material, port) {
    const socket = await dial(material, port, 'frames')
    const writer = new FrameWriter(socket)
    const waiting = new Map<number, () => void>()
    let ids = 0
    const reader = new FrameReader((id) => {
      const done = waiting.get(id)
      waiting.delete(id)
      done?.()
    })
    socket.on('data', (chunk: Buffer) => reader.push(chunk))
    return {
      request(payload, done) {
        ids = (ids + 1) % oneWay
        waiting.set(ids, done)
        writer.write(ids, payload)
      },
      send(payload, onRoom) {
        if (writer.write(oneWay, payload)) return true
        writer.flush()
        socket.once('drain', onRoom)
        return false
      },
      bulk: (chunk, ms) => bulk(material, port, chunk, ms)
    }
  }
}

async function dial(material: Material, port: number, protocol: string): Promise<TLSSocket> {
  const socket = connect({
    ...optionsOf(material),
    host,
    port,
    ALPNProtocols: [protocol]
  })
  socket.setNoDelay(true)
  await once(socket, 'secureConnect')
  return socket
}

/** Counts to the end, and says how much it was. */
function sink(socket: TLSSocket): void {
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  socket.on('end', () => socket.end(String(bytes)))
}

async function bulk(
  material: Material,
  port: number,
  chunk: Uint8Array,
  ms: number
): Promise<number> {
  const socket = await dial(material, port, bulkPath)
  const until = performance.now() + ms
  let answer = ''
  socket.on('data', (bytes: Buffer) => {
    answer += bytes.toString()
  })
  while (performance.now() < until) {
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  socket.end()
  await once(socket, 'close')
  return Number(answer)
}
