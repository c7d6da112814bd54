import {
  Client,
  type ClientDuplexStream,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData
} from '@grpc/grpc-js'
import { type BenchPeer, type BenchServer, host, type Material } from './peer.js'

const same = (bytes: Buffer): Buffer => bytes
const methodOf = (name: string, streams: boolean) => ({
  path: `/bench.Echo/${name}`,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same
})
const service = { unary: methodOf('Unary', false), bidi: methodOf('Bidi', true) }

async function serve({ certificate, key, authority }: Material): Promise<BenchServer> {
  const server = new Server()
  server.addService(service, {
    unary: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) =>
      answer(null, call.request),
    bidi: (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (bytes: Buffer) => call.write(bytes))
      call.on('end', () => call.end())
      call.on('error', () => {})
    }
  })
  const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(certificate) }
  const secured = ServerCredentials.createSsl(Buffer.from(authority), [pair], true)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:0`, secured, (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  return { port }
}

function dial({ certificate, key, authority }: Material, port: number): Promise<Client> {
  const secured = credentials.createSsl(
    Buffer.from(authority),
    Buffer.from(key),
    Buffer.from(certificate),
    { checkServerIdentity: () => undefined }
  )
  const client = new Client(`${host}:${port}`, secured)
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + 10_000, (error) => {
      if (error === undefined) resolve(client)
      else reject(error)
    })
  })
}

/** A call for each request. */
export const grpcUnary: BenchPeer = {
  serve,
  async connect(material, port) {
    const client = await dial(material, port)
    const { path, requestSerialize, responseDeserialize } = service.unary
    return {
      request(payload, done) {
        const bytes = payload as Buffer
        client.makeUnaryRequest(path, requestSerialize, responseDeserialize, bytes, (error) => {
          if (error !== null) throw error
          done()
        })
      }
    }
  }
}

/** Messages within one call that stays open; its answers come in order. */
export const grpcBidi: BenchPeer = {
  serve,
  async connect(material, port) {
    const client = await dial(material, port)
    const { path, requestSerialize, responseDeserialize } = service.bidi
    const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize
    )
    let waiting: (() => void)[] = []
    let next = 0
    call.on('data', () => {
      waiting[next++]?.()
      if (next < 4_096) return
      waiting = waiting.slice(next)
      next = 0
    })
    return {
      request(payload, done) {
        waiting.push(done)
        call.write(payload as Buffer)
      }
    }
  }
}
