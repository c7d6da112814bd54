/**
 * Certificates in a simulated cluster: its authority numbers them, and a revocation list is its own
 * text. Signatures are what the simulator takes for granted; who holds which certificate, and who
 * has heard that one was taken back, is what a node has to get right.
 */
import {
  type AuthorityFacts,
  CertificateError,
  type Credentials,
  type OwnCertificates,
  type PeerCertificate,
  type PeerIdentity,
  type PeerJudge,
  type RevocationList,
  type WallMs
} from '../core/index.js'
import type { StreamTrust } from './simulated-stream-network.js'

/** Machines' wall clocks jump: dates are so far away that none of them ends a certificate. */
const notBefore = 0 as WallMs
const notAfter = 4_000_000_000_000 as WallMs
const authorityId = 'simulated authority'

export class SimulatedAuthority {
  readonly facts: AuthorityFacts = { id: authorityId, subject: `CN=${authorityId}`, notAfter }
  readonly #revoked: string[] = []
  #serials = 0
  #lists = 0

  /** Of the newest list; zero: there is none. */
  get listNumber(): number {
    return this.#lists
  }

  issue(): PeerCertificate {
    this.#serials++
    return { serialNumber: this.#serials.toString(16), notBefore, notAfter }
  }

  /** The next list: these certificates beside all that were taken back before. */
  revoke(serialNumbers: readonly string[]): Uint8Array {
    this.#revoked.push(...serialNumbers)
    this.#lists++
    return this.newestList()
  }

  newestList(): Uint8Array {
    return new TextEncoder().encode([authorityId, this.#lists, ...this.#revoked].join('\n'))
  }
}

function listOf(bytes: Uint8Array): RevocationList {
  const [id = '', number, ...serialNumbers] = new TextDecoder().decode(bytes).split('\n')
  if (id !== authorityId) throw new CertificateError(`a list of '${id}'`)
  return {
    authorityId,
    number: Number(number),
    issuedAt: notBefore,
    serialNumbers: new Set(serialNumbers),
    bytes
  }
}

/** What lies on a machine for its node to read; it outlives the node's processes. */
export interface CertificateFile {
  certificate: PeerCertificate
}

/** The certificates of one process, which reads its machine's file. */
export class SimulatedCredentials implements Credentials, StreamTrust {
  readonly #authority: SimulatedAuthority
  readonly #file: CertificateFile
  #own: PeerCertificate
  #judge: PeerJudge = () => null

  constructor(authority: SimulatedAuthority, file: CertificateFile) {
    this.#authority = authority
    this.#file = file
    this.#own = file.certificate
  }

  get current(): OwnCertificates {
    return { own: this.#own, authorities: [this.#authority.facts] }
  }

  own(): PeerCertificate {
    return this.#own
  }

  judge(peer: PeerIdentity, certificate: PeerCertificate): string | null {
    return this.#judge(peer, certificate)
  }

  async reload(): Promise<boolean> {
    const isNew = this.#file.certificate !== this.#own
    this.#own = this.#file.certificate
    return isNew
  }

  /** Lists come by the operator's word, and from other members. */
  async readRevocations(): Promise<null> {
    return null
  }

  verifyRevocationList(bytes: Uint8Array): RevocationList {
    return listOf(bytes)
  }

  setJudge(judge: PeerJudge): void {
    this.#judge = judge
  }
}
