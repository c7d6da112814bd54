import { constants } from 'node:crypto'
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  createServer,
  DEFAULT_CIPHERS,
  type SecureContext,
  type Server,
  type TLSSocket,
  type TlsOptions
} from 'node:tls'
import {
  type Address,
  type BytePipe,
  type ByteStream,
  type Clock,
  DialFailedError,
  type DialOptions,
  describePeer,
  type Logger,
  type MonotonicMs,
  type PeerCertificate,
  type PeerIdentity,
  PeerIdentityError,
  type PeerJudge,
  type StreamListener,
  type StreamNetwork
} from '../core/index.js'
import { parseAddress, remoteAddressOf } from './addresses.js'
import { DialLimit } from './dial-limit.js'
import { HandshakeGate, type HandshakeRefusal, handshakeCounters } from './handshake-gate.js'
import { closeListener, listenOn } from './listening.js'
import { certificateFactsOf, judgePeerCertificate } from './peer-certificate.js'
import { duplexOf } from './pipe-duplex.js'
import { PreambleError, readPreamble } from './preamble.js'
import { openRawPipe } from './raw-pipe.js'
import { SocketStream, streamBufferBytesMax } from './socket-stream.js'
import type { TlsMaterial } from './tls-material.js'

/** Fixes the protocol on top of TLS: another one ends the handshake. */
const applicationProtocol = 'skein/1'
/**
 * The listener's first line. In TLS 1.3 a dialler is connected before the listener has judged its
 * certificate: only a byte from the listener proves that it accepted.
 */
const acceptance = 'skein 1 accepted'

/** New keys of one peer within the window; honest ones need none for years. */
const keyUpdatesMax = 16
const keyUpdateWindowMs = 60_000

/** Keys and signatures of 112 bits of security at least, in the whole chain. */
const ciphers = `${DEFAULT_CIPHERS}:@SECLEVEL=2`

export interface TlsStreamNetworkOptions {
  readonly material: TlsMaterial
  readonly handshakeTimeoutMs: number
  readonly handshakesMax: number
  /** Asked about each peer whose certificate verified. */
  readonly judge?: PeerJudge
}

/** A peer that was taken back. */
class RevokedError extends PeerIdentityError {}

interface ProvenPeer {
  readonly peer: PeerIdentity
  readonly certificate: PeerCertificate
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
  readonly #handshakers = new Set<Server>()
  readonly #keyUpdates = new WeakMap<TLSSocket, { since: MonotonicMs; count: number }>()
  #material: TlsMaterial
  #diallerContext: SecureContext

  constructor(
    components: { readonly clock: Clock; readonly logger: Logger },
    options: TlsStreamNetworkOptions
  ) {
    this.#clock = components.clock
    this.#logger = components.logger
    this.#options = options
    this.#material = options.material
    this.#diallerContext = createSecureContext(this.#contextOptions())
  }

  /** From the next handshake on, in both directions; open streams stay. */
  reload(material: TlsMaterial): void {
    const previous = this.#material
    this.#material = material
    try {
      const context = createSecureContext(this.#contextOptions())
      for (const handshaker of this.#handshakers)
        handshaker.setSecureContext(this.#contextOptions())
      this.#diallerContext = context
    } catch (error) {
      this.#material = previous
      throw error
    }
  }

  async listen(address: Address, onStream: (stream: ByteStream) => void): Promise<StreamListener> {
    const gate = new HandshakeGate(
      { counters: this.counters, logger: this.#logger },
      { handshakesMax: this.#options.handshakesMax }
    )
    const handshaker = createServer(this.#serverOptions())
    this.#handshakers.add(handshaker)
    handshaker.on('secureConnection', (socket) => this.#accept(socket, gate, onStream))
    handshaker.on('keylog', (line, socket) => this.#watchKeys(line, socket))
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
    return { address: bound, close: () => this.#close(handshaker, server, gate) }
  }

  async dial(address: Address, options: DialOptions): Promise<ByteStream> {
    const { host, port } = parseAddress(address)
    const { through } = options
    const over = through === undefined ? { host, port } : { socket: duplexOf(through) }
    const socket = connect({ ...this.#clientOptions(), ...over })
    if (through === undefined) socket.setNoDelay(true)
    socket.on('keylog', (line) => this.#watchKeys(line, socket))
    let isLate = false
    const limit = new DialLimit(this.#clock, options.deadline, () => {
      isLate = true
      socket.destroy(new Error('the deadline passed'))
    })
    try {
      const { peer, certificate } = await this.#authenticate(socket, options)
      this.counters.add('dials_succeeded')
      return new SocketStream(socket, { peer, certificate, remoteAddress: address })
    } catch (error) {
      socket.destroy()
      throw this.#dialError(error as Error, { address, isLate, socket })
    } finally {
      limit.cancel()
    }
  }

  pipe(address: Address, deadline: MonotonicMs): Promise<BytePipe> {
    return openRawPipe(this.#clock, address, deadline)
  }

  async #authenticate(socket: TLSSocket, options: DialOptions): Promise<ProvenPeer> {
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve)
      socket.once('close', () => reject(new PreambleError('closed during the handshake')))
      socket.on('error', reject)
    })
    const proven = this.#peerOf(socket)
    const { peer } = proven
    if (peer.kind !== 'node') throw new PeerIdentityError(`${describePeer(peer)} listens`)
    const expected = options.expectedNodeId
    if (expected !== null && peer.nodeId !== expected) {
      const message = `expected node ${expected}, found node ${peer.nodeId}`
      throw new PeerIdentityError(message, { nodeId: peer.nodeId })
    }
    const line = await readPreamble(socket, acceptance.length)
    if (line !== acceptance) throw new PreambleError('another protocol answers')
    return proven
  }

  #accept(socket: TLSSocket, gate: HandshakeGate, onStream: (stream: ByteStream) => void): void {
    const address = socket.remoteAddress ?? 'unknown'
    socket.pause()
    socket.on('error', () => socket.destroy())
    try {
      if (socket.alpnProtocol !== applicationProtocol) throw new PreambleError('no protocol named')
      const { peer, certificate } = this.#peerOf(socket)
      socket.write(`${acceptance}\n`)
      gate.accepted(socket)
      const remoteAddress = remoteAddressOf(socket)
      onStream(new SocketStream(socket, { peer, certificate, remoteAddress }))
    } catch (error) {
      gate.refused(refusalOfPeer(error), address, error as Error)
      socket.destroy()
    }
  }

  /** @throws PeerIdentityError */
  #peerOf(socket: TLSSocket): ProvenPeer {
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) throw new PeerIdentityError('no certificate')
    const reading = judgePeerCertificate(certificate)
    if (reading.kind === 'refused') throw new PeerIdentityError(`certificate: ${reading.reason}`)
    const { clusterName } = this.#material.peer
    if (reading.peer.clusterName !== clusterName) {
      throw new PeerIdentityError(`of cluster ${reading.peer.clusterName}, not ${clusterName}`)
    }
    const facts = certificateFactsOf(certificate)
    const reason = this.#options.judge?.(reading.peer, facts) ?? null
    if (reason !== null) throw new RevokedError(`${describePeer(reading.peer)} ${reason}`)
    return { peer: reading.peer, certificate: facts }
  }

  /**
   * The secrets' log is the only place where new keys of the peer show. What it says is looked at
   * for their number and forgotten.
   */
  #watchKeys(line: Buffer, socket: TLSSocket): void {
    if (!line.includes('_TRAFFIC_SECRET_N')) return
    const now = this.#clock.now()
    const updates = this.#keyUpdates.get(socket) ?? { since: now, count: 0 }
    if (now - updates.since >= keyUpdateWindowMs) Object.assign(updates, { since: now, count: 0 })
    updates.count++
    this.#keyUpdates.set(socket, updates)
    if (updates.count <= keyUpdatesMax || socket.destroyed) return
    this.counters.add('refused_key_updates')
    this.#logger.warn({ address: socket.remoteAddress }, 'a peer renews its keys again and again')
    socket.destroy(new Error('too many key updates'))
  }

  async #close(handshaker: Server, server: TcpServer, gate: HandshakeGate): Promise<void> {
    this.#handshakers.delete(handshaker)
    await closeListener(server, gate)
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
      ...this.#contextOptions(),
      ALPNProtocols: [applicationProtocol],
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: this.#options.handshakeTimeoutMs
    }
  }

  #clientOptions(): ConnectionOptions {
    return {
      secureContext: this.#diallerContext,
      ALPNProtocols: [applicationProtocol],
      rejectUnauthorized: true,
      // The name is in the certificate; who the host name belongs to does not matter.
      checkServerIdentity: () => undefined
    }
  }

  #contextOptions() {
    const { certificate, key, authority } = this.#material
    return {
      cert: certificate,
      key,
      ca: authority,
      minVersion: 'TLSv1.3' as const,
      maxVersion: 'TLSv1.3' as const,
      ciphers,
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION
    }
  }
}

function refusalOfPeer(error: unknown): HandshakeRefusal {
  if (error instanceof RevokedError) return 'refused_revoked'
  return error instanceof PeerIdentityError ? 'refused_identity' : 'refused_version'
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
