/**
 * Who may not come in, and who has to go: the authorities' revocation lists, the operator's own
 * denials, and the dates in certificates.
 *
 * 1. Of one authority the list with the highest number counts, wherever it came from.
 * 2. A list counts until a newer one comes; none expires.
 * 3. What an authority does not sign denies nobody on other nodes.
 *
 * Owner's duties: hand in verified lists only; ask again when time has passed.
 */
import { compareText, type WallMs } from '../../core/ids.js'
import { describePeer } from '../../core/peer-name.js'
import type {
  AuthorityFacts,
  DeniedPeer,
  RevocationFile,
  RevocationList
} from '../../core/ports/credentials.js'
import type { PeerCertificate, PeerIdentity } from '../../core/ports/stream-network.js'

export const Refusals = { Revoked: 'revoked', Denied: 'denied', Expired: 'expired' } as const
export type Refusal = (typeof Refusals)[keyof typeof Refusals]

export class Revocations {
  readonly #lists = new Map<string, RevocationList>()
  #denied: readonly DeniedPeer[] = []
  readonly #deniedNames = new Set<string>()

  /** By authority. */
  get lists(): readonly RevocationList[] {
    return [...this.#lists.values()].sort((a, b) => compareText(a.authorityId, b.authorityId))
  }

  get denied(): readonly DeniedPeer[] {
    return this.#denied
  }

  /** Certificates taken back. */
  get revokedCount(): number {
    let count = 0
    for (const { serialNumbers } of this.#lists.values()) count += serialNumbers.size
    return count
  }

  /** False: it is known, or older than the one that counts. */
  take(list: RevocationList): boolean {
    const known = this.#lists.get(list.authorityId)
    if (known !== undefined && known.number >= list.number) return false
    this.#lists.set(list.authorityId, list)
    return true
  }

  deny(denied: RevocationFile['denied']): void {
    this.#denied = denied
    this.#deniedNames.clear()
    for (const { kind, name } of denied) this.#deniedNames.add(`${kind} ${name}`)
  }

  /** Lists of authorities that are not believed any more go with them. */
  keepOnly(authorities: readonly AuthorityFacts[]): void {
    for (const id of [...this.#lists.keys()]) {
      if (!authorities.some((authority) => authority.id === id)) this.#lists.delete(id)
    }
  }

  /** Of a certificate that an authority of ours signed; null: nothing speaks against its holder. */
  refusalOf(peer: PeerIdentity, certificate: PeerCertificate, now: WallMs): Refusal | null {
    const { serialNumber, notAfter } = certificate
    for (const { serialNumbers } of this.#lists.values()) {
      if (serialNumbers.has(serialNumber)) return Refusals.Revoked
    }
    const isDenied =
      this.#deniedNames.has(describePeer(peer)) || this.#deniedNames.has(`serial ${serialNumber}`)
    if (isDenied) return Refusals.Denied
    return now >= notAfter ? Refusals.Expired : null
  }
}
