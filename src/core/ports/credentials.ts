import type { WallMs } from '../ids.js'
import type { PeerCertificate, PeerIdentity } from './stream-network.js'

/** Certificates in use, of this node and of the authorities it believes. */
export interface OwnCertificates {
  readonly own: PeerCertificate
  /** Several while one authority replaces another. */
  readonly authorities: readonly AuthorityFacts[]
}

export interface AuthorityFacts {
  /** SHA-256 of its public key, lower-case hex: what its revocation lists go by. */
  readonly id: string
  readonly subject: string
  readonly notAfter: WallMs
}

/** One authority's list of the certificates that it takes back, with a signature that verified. */
export interface RevocationList {
  readonly authorityId: string
  /** Rises with each list; the highest counts. */
  readonly number: number
  readonly issuedAt: WallMs
  /** Lower-case hex, without leading zeros. */
  readonly serialNumbers: ReadonlySet<string>
  /** As it was signed (DER), to be handed on. */
  readonly bytes: Uint8Array
}

/** What the operator's file says. */
export interface RevocationFile {
  readonly lists: readonly RevocationList[]
  /** Refused by this node alone, whatever certificate they have. */
  readonly denied: readonly DeniedPeer[]
}

export interface DeniedPeer {
  readonly kind: 'node' | 'client' | 'serial'
  readonly name: string
}

/** Null: may come in. Otherwise the reason why not. */
export type PeerJudge = (peer: PeerIdentity, certificate: PeerCertificate) => string | null

/**
 * What a node proves itself with and whom it believes, replaced while it runs. Behind it are files;
 * streams made by the same platform use what is in use here.
 */
export interface Credentials {
  readonly current: OwnCertificates
  /**
   * Reads the certificate files when they have changed, or always with `force`. They are taken
   * whole, or what was in use stays. True: something else is in use now.
   * @throws CertificateError what does not fit
   */
  reload(force: boolean): Promise<boolean>
  /**
   * Null: no such file is configured, or it has not changed since it was last read.
   * @throws CertificateError it cannot be read, or a list in it is not an authority's of ours
   */
  readRevocations(force: boolean): Promise<RevocationFile | null>
  /** @throws CertificateError malformed, or signed by no authority of ours */
  verifyRevocationList(bytes: Uint8Array): RevocationList
  /** Asked in every handshake, in both directions, after the certificate has verified. */
  setJudge(judge: PeerJudge): void
}
