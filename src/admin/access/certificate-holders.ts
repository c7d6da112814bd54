/**
 * Who holds the client certificates of open connections. A certificate is judged with each request
 * and, as a stream of events is one request for hours, at an interval; who may not stay is cut.
 */
import { X509Certificate } from 'node:crypto'
import type { Server } from 'node:net'
import type { TLSSocket, PeerCertificate as TlsCertificate } from 'node:tls'
import {
  type ClusterManager,
  type PeerIdentity,
  parsePeerName,
  uriNamesIn
} from '../../core/index.js'

/** Whoever is revoked is cut within this. */
export const sweepIntervalMs = 1_000
const chainLengthMax = 8

/** Null: it says nothing. Otherwise why its holder is not let in. */
export type Judge = ClusterManager['security']['refusalOf']

export class CertificateHolders {
  readonly #judge: Judge
  /** As many as the server has connections at most. */
  readonly #sockets = new Set<TLSSocket>()
  #timer: NodeJS.Timeout | null = null

  constructor(judge: Judge) {
    this.#judge = judge
  }

  /** The holder of a verified certificate that nothing speaks against; else null. */
  holderOf(socket: TLSSocket): PeerIdentity | null {
    const peer = peerOf(socket)
    return peer !== null && this.#refusalOf(socket, peer) === null ? peer : null
  }

  watch(server: Server): void {
    server.on('secureConnection', (socket: TLSSocket) => {
      if (!socket.authorized) return
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#timer = setInterval(() => this.#sweep(), sweepIntervalMs)
    this.#timer.unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  /** Cuts whose authority is not among these any more. */
  keepOnly(authorities: string): void {
    const roots = certificatesIn(authorities)
    for (const socket of this.#sockets) if (!isIssuedBy(socket, roots)) socket.destroy()
  }

  #sweep(): void {
    for (const socket of this.#sockets) {
      const peer = peerOf(socket)
      if (peer !== null && this.#refusalOf(socket, peer) !== null) socket.destroy()
    }
  }

  #refusalOf(socket: TLSSocket, peer: PeerIdentity): string | null {
    return this.#judge(peer, factsOf(socket.getPeerCertificate()))
  }
}

function peerOf(socket: TLSSocket): PeerIdentity | null {
  if (!socket.authorized) return null
  const [uri, ...others] = uriNamesIn(socket.getPeerCertificate().subjectaltname ?? '')
  return uri !== undefined && others.length === 0 ? parsePeerName(uri) : null
}

const factsOf = ({ serialNumber = '', valid_from, valid_to }: TlsCertificate) => ({
  serialNumber: serialNumber.toLowerCase().replace(/^0+(?=.)/, ''),
  notBefore: Date.parse(valid_from) as Parameters<Judge>[1]['notBefore'],
  notAfter: Date.parse(valid_to) as Parameters<Judge>[1]['notAfter']
})

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

const certificatesIn = (bundle: string): X509Certificate[] =>
  [...bundle.matchAll(PEM)].map(([pem]) => new X509Certificate(pem))

function isIssuedBy(socket: TLSSocket, roots: readonly X509Certificate[]): boolean {
  let certificate = socket.getPeerX509Certificate()
  for (let depth = 0; certificate !== undefined && depth < chainLengthMax; depth++) {
    const one = certificate
    const isIssued = roots.some((root) => one.checkIssued(root) && one.verify(root.publicKey))
    if (isIssued) return true
    certificate = one.issuerCertificate
  }
  return false
}
