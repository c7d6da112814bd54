/**
 * What takes the place of a TLS handshake where bytes travel through others: each end says in a
 * first line who it is, and is believed.
 */
import {
  type Address,
  type BytePipe,
  type ByteStream,
  type PeerCertificate,
  type PeerIdentity,
  parsePeerName,
  peerNameOf,
  type StreamEnd,
  StreamEnds,
  type StreamHandlers
} from '../core/index.js'

export interface Named {
  readonly identity: PeerIdentity
  readonly certificate: PeerCertificate | null
}

const lineEnd = 0x0a

/** Null: the pipe ended before the other end had said who it is. */
export function nameOver(
  pipe: BytePipe,
  self: Named,
  remoteAddress: Address,
  onNamed: (stream: NamedStream | null) => void
): void {
  const { identity, certificate } = self
  const line = JSON.stringify({ name: peerNameOf(identity), certificate })
  let heard: number[] = []
  let stream: NamedStream | null = null
  pipe.attach({
    onData(chunk) {
      if (stream !== null) return stream.handleData(chunk)
      const end = chunk.indexOf(lineEnd)
      heard = heard.concat([...(end < 0 ? chunk : chunk.subarray(0, end))])
      if (end < 0) return
      const told = namedIn(String.fromCharCode(...heard))
      if (told === null) return pipe.destroy()
      stream = new NamedStream(pipe, told, remoteAddress)
      onNamed(stream)
      if (end + 1 < chunk.length) stream.handleData(chunk.subarray(end + 1))
    },
    onDrain: () => stream?.handleDrain(),
    onClose(end, cause) {
      if (stream === null) onNamed(null)
      else stream.handleClose(end, cause)
    }
  })
  pipe.write(Uint8Array.from(`${line}\n`, (char) => char.charCodeAt(0)))
}

function namedIn(line: string): Named | null {
  const { name, certificate } = JSON.parse(line) as {
    name: string
    certificate: PeerCertificate | null
  }
  const identity = parsePeerName(name)
  return identity === null ? null : { identity, certificate }
}

export class NamedStream implements ByteStream {
  readonly peer: PeerIdentity
  readonly certificate: PeerCertificate | null
  readonly remoteAddress: Address
  readonly #pipe: BytePipe
  #handlers: StreamHandlers | null = null
  #early: Uint8Array[] = []
  #isGivenUp = false
  #end: { readonly end: StreamEnd; readonly cause: Error | undefined } | null = null

  constructor(pipe: BytePipe, { identity, certificate }: Named, remoteAddress: Address) {
    this.#pipe = pipe
    this.peer = identity
    this.certificate = certificate
    this.remoteAddress = remoteAddress
  }

  get bufferedBytes(): number {
    return this.#pipe.bufferedBytes
  }

  get isOpen(): boolean {
    return !this.#isGivenUp && this.#end === null
  }

  attach(handlers: StreamHandlers): void {
    this.#handlers = handlers
    queueMicrotask(() => {
      for (const chunk of this.#early.splice(0)) handlers.onData(chunk)
      if (this.#end !== null) handlers.onClose(this.#end.end, this.#end.cause)
    })
  }

  write(chunk: Uint8Array): boolean {
    return this.#end === null && this.#pipe.write(chunk)
  }

  end(): void {
    this.#isGivenUp = true
    this.#pipe.end()
  }

  destroy(): void {
    this.#isGivenUp = true
    this.#pipe.destroy()
  }

  handleData(chunk: Uint8Array): void {
    if (this.#handlers === null || this.#early.length > 0) this.#early.push(chunk)
    else this.#handlers.onData(chunk)
  }

  handleDrain(): void {
    this.#handlers?.onDrain()
  }

  handleClose(end: StreamEnd = StreamEnds.Reset, cause?: Error): void {
    this.#end = { end, cause }
    if (this.#early.length === 0) this.#handlers?.onClose(end, cause)
  }
}
