import { constants } from 'node:crypto'
import { createServer as createTcpServer } from 'node:net'
import {
  type ConnectionOptions,
  connect,
  createServer,
  type TLSSocket,
  type TlsOptions
} from 'node:tls'
import {
  type Address,
  type ByteStream,
  type Clock,
  DialFailedError,
  type DialOptions,
  describePeer,
  type Logger,
  type PeerIdentity,
  PeerIdentityError,
  type StreamListener,
  type StreamNetwork
} from '../core/index.js'
import { parseAddress } from './addresses.js'
import { HandshakeGate, type HandshakeRefusal, handshakeCounters } from './handshake-gate.js'
import { closeListener, listenOn } from './listening.js'
import { readPeerCertificate } from './peer-certificate.js'
import { PreambleError, readPreamble } from './preamble.js'
import { SocketStream, streamBufferBytesMax } from './socket-stream.js'
import type { TlsMaterial } from './tls-material.js'

/** Fixes the protocol on top of TLS: another one ends the handshake. */
const applicationProtocol = 'skein/1'
/**
 * The listener's first line. In TLS 1.3 a dialler is connected before the listener has judged its
 * certificate: only a byte from the listener proves that it accepted.
 */
const acceptance = 'skein 1 accepted'

export interface TlsStreamNetworkOptions {
  readonly material: TlsMaterial
  readonly handshakeTimeoutMs: number
  readonly handshakesMax: number
}

/**
 * Streams over TLS 1.3, both sides authenticated by certificates of one authority, never resumed.
 * The peer is who its certificate says, whatever host name or address it was reached by.
 */
export class TlsStreamNetwork implements StreamNetwork {
  readonly counters = handshakeCounters()
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #options: TlsStreamNetworkOptions

  constructor(
    components: { readonly clock: Clock; readonly logger: Logger },
    options: TlsStreamNetworkOptions
  ) {
    this.#clock = components.clock
    this.#logger = components.logger
    this.#options = options
  }

  async listen(address: Address, onStream: (stream: ByteStream) => void): Promise<StreamListener> {
    const gate = new HandshakeGate(
      { counters: this.counters, logger: this.#logger },
      { handshakesMax: this.#options.handshakesMax }
    )
    const handshaker = createServer(this.#serverOptions())
    handshaker.on('secureConnection', (socket) => this.#accept(socket, gate, onStream))
    handshaker.on('tlsClientError', (error, socket) => {
      gate.refused(refusalOf(error, socket), socket.remoteAddress ?? 'unknown', error)
      socket.destroy()
    })
    const server = createTcpServer({ noDelay: true, highWaterMark: streamBufferBytesMax })
    server.on('connection', (socket) => {
      if (gate.enter(socket)) handshaker.emit('connection', socket)
    })
    const bound = await listenOn(server, address)
    server.on('error', (error) => this.#logger.error({ error }, 'stream listener failed'))
    return { address: bound, close: () => closeListener(server, gate) }
  }

  async dial(address: Address, options: DialOptions): Promise<ByteStream> {
    const { host, port } = parseAddress(address)
    const socket = connect({ ...this.#clientOptions(), host, port })
    socket.setNoDelay(true)
    let isLate = false
    const timer = this.#clock.schedule(options.deadline, () => {
      isLate = true
      socket.destroy(new Error('the deadline passed'))
    })
    try {
      const peer = await this.#authenticate(socket, options)
      this.counters.add('dials_succeeded')
      return new SocketStream(socket, peer)
    } catch (error) {
      socket.destroy()
      throw this.#dialError(error as Error, { address, isLate, socket })
    } finally {
      timer.cancel()
    }
  }

  async #authenticate(socket: TLSSocket, options: DialOptions): Promise<PeerIdentity> {
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve)
      socket.once('close', () => reject(new PreambleError('closed during the handshake')))
      socket.on('error', reject)
    })
    const peer = this.#peerOf(socket)
    if (peer.kind !== 'node') throw new PeerIdentityError(`${describePeer(peer)} listens`)
    const expected = options.expectedNodeId
    if (expected !== null && peer.nodeId !== expected) {
      const message = `expected node ${expected}, found node ${peer.nodeId}`
      throw new PeerIdentityError(message, { nodeId: peer.nodeId })
    }
    const line = await readPreamble(socket, acceptance.length)
    if (line !== acceptance) throw new PreambleError('another protocol answers')
    return peer
  }

  #accept(socket: TLSSocket, gate: HandshakeGate, onStream: (stream: ByteStream) => void): void {
    const address = socket.remoteAddress ?? 'unknown'
    socket.pause()
    socket.on('error', () => socket.destroy())
    try {
      if (socket.alpnProtocol !== applicationProtocol) throw new PreambleError('no protocol named')
      const peer = this.#peerOf(socket)
      socket.write(`${acceptance}\n`)
      gate.accepted(socket)
      onStream(new SocketStream(socket, peer))
    } catch (error) {
      const isIdentity = error instanceof PeerIdentityError
      gate.refused(isIdentity ? 'refused_identity' : 'refused_version', address, error as Error)
      socket.destroy()
    }
  }

  /** @throws PeerIdentityError */
  #peerOf(socket: TLSSocket): PeerIdentity {
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) throw new PeerIdentityError('no certificate')
    const reading = readPeerCertificate(certificate)
    if (reading.kind === 'refused') throw new PeerIdentityError(`certificate: ${reading.reason}`)
    const { clusterName } = this.#options.material.peer
    if (reading.peer.clusterName !== clusterName) {
      throw new PeerIdentityError(`of cluster ${reading.peer.clusterName}, not ${clusterName}`)
    }
    return reading.peer
  }

  #dialError(
    error: Error,
    at: { readonly address: Address; readonly isLate: boolean; readonly socket: TLSSocket }
  ): Error {
    const isIdentity = error instanceof PeerIdentityError || Boolean(at.socket.authorizationError)
    if (isIdentity && !at.isLate) {
      this.counters.add('dials_refused_identity')
      const facts = error instanceof PeerIdentityError ? { nodeId: error.nodeId } : {}
      return new PeerIdentityError(`peer at ${at.address}: ${error.message}`, {
        cause: error,
        ...(facts.nodeId === undefined ? {} : { nodeId: facts.nodeId })
      })
    }
    this.counters.add('dials_failed')
    return new DialFailedError(`dial ${at.address}: ${error.message}`, { cause: error })
  }

  #serverOptions(): TlsOptions {
    return {
      ...this.#sharedOptions(),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: this.#options.handshakeTimeoutMs
    }
  }

  #clientOptions(): ConnectionOptions {
    return {
      ...this.#sharedOptions(),
      rejectUnauthorized: true,
      // The name is in the certificate; who the host name belongs to does not matter.
      checkServerIdentity: () => undefined
    }
  }

  #sharedOptions() {
    const { certificate, key, authority } = this.#options.material
    return {
      cert: certificate,
      key,
      ca: authority,
      minVersion: 'TLSv1.3' as const,
      maxVersion: 'TLSv1.3' as const,
      ALPNProtocols: [applicationProtocol],
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION
    }
  }
}

function refusalOf(error: NodeJS.ErrnoException, socket: TLSSocket): HandshakeRefusal {
  const verdict: unknown = socket.authorizationError
  if (verdict === 'CERT_HAS_EXPIRED' || verdict === 'CERT_NOT_YET_VALID') return 'refused_expired'
  if (verdict) return 'refused_untrusted'
  switch (error.code) {
    case 'ERR_TLS_HANDSHAKE_TIMEOUT':
      return 'refused_timeout'
    case 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE':
      return 'refused_no_certificate'
    case 'ERR_SSL_UNSUPPORTED_PROTOCOL':
    case 'ERR_SSL_NO_APPLICATION_PROTOCOL':
      return 'refused_version'
    default:
      return 'refused_protocol'
  }
}
