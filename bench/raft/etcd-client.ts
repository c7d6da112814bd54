import { type ClientHttp2Session, connect } from 'node:http2'

const lengthPrefixBytes = 5
const sessionWindowBytes = 1 << 20
const putPath = '/etcdserverpb.KV/Put'
const moveLeaderPath = '/etcdserverpb.Maintenance/MoveLeader'

/**
 * etcd's gRPC over one HTTP/2 connection that stays, without a gRPC library: the cheapest way to
 * ask it from Node.js.
 */
export class EtcdClient {
  readonly #session: ClientHttp2Session

  constructor(url: string) {
    this.#session = connect(url, {
      // etcd has made its certificate itself.
      rejectUnauthorized: false,
      settings: { initialWindowSize: sessionWindowBytes }
    })
    this.#session.on('error', () => this.#session.destroy())
  }

  get isClosed(): boolean {
    return this.#session.closed || this.#session.destroyed
  }

  put(key: string, value: Uint8Array): Promise<void> {
    return this.#call(putPath, Buffer.concat([field(1, Buffer.from(key)), field(2, value)]))
  }

  /** @param targetId of the member that shall lead, in hexadecimal; asked of the leader */
  moveLeader(targetId: string): Promise<void> {
    const message = Buffer.concat([Buffer.from([8]), varint(BigInt(`0x${targetId}`))])
    return this.#call(moveLeaderPath, message)
  }

  close(): void {
    this.#session.destroy()
  }

  /** @throws Error with the status that was answered, or that the connection is lost */
  #call(path: string, message: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.isClosed) {
        reject(new Error('not connected'))
        return
      }
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers'
      })
      let status: unknown = 'none'
      const take = (headers: Readonly<Record<string, unknown>>) => {
        status = headers['grpc-status'] ?? status
      }
      stream.on('response', take)
      stream.on('trailers', take)
      stream.on('error', () => stream.destroy())
      stream.once('close', () => {
        if (status === '0') resolve()
        else reject(new Error(`etcd answered ${String(status)}`))
      })
      stream.resume()
      const body = Buffer.alloc(lengthPrefixBytes + message.length)
      body.writeUInt32BE(message.length, 1)
      body.set(message, lengthPrefixBytes)
      stream.end(body)
    })
  }
}

/** A field of bytes, as protocol buffers write it. */
function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(BigInt(bytes.length)), bytes])
}

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  return Buffer.from([...bytes, Number(rest)])
}
