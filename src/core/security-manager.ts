/** The facade's part for certificates, revocation and gossip keys: `manager.security`. */
import type { ErrorCode } from './errors.js'
import type { NodeId, WallMs } from './ids.js'
import type { AuthorityFacts, DeniedPeer } from './ports/credentials.js'
import type { PeerCertificate, PeerIdentity } from './ports/stream-network.js'

export interface CertificateStatus {
  /** Null: `insecure`. */
  readonly own: PeerCertificate | null
  /** Whole days until this node's certificate ends; null: `insecure`. */
  readonly daysLeft: number | null
  readonly authorities: readonly AuthorityFacts[]
  /** Why the files were not taken the last time they were read; null: they were. */
  readonly failure: string | null
}

export interface RevocationStatus {
  readonly lists: readonly {
    readonly authorityId: string
    readonly number: number
    readonly issuedAt: WallMs
    readonly revoked: number
  }[]
  readonly denied: readonly DeniedPeer[]
}

/** What became of something that all members were told. */
export interface TellReport {
  /** Members that were to be told, this node included. */
  readonly nodes: number
  /** Those that did it. */
  readonly responses: number
  readonly errors: readonly {
    readonly nodeId: NodeId
    readonly code: ErrorCode
    readonly message: string
  }[]
}

/** Names a gossip key without revealing it: 8 lower-case hex digits. */
export type GossipKeyId = string

export interface GossipKeysReport extends TellReport {
  /** As this node has it. */
  readonly primary: GossipKeyId
  /** Rises with each change; the same on all members that have heard of the last one. */
  readonly version: number
  readonly keys: readonly {
    readonly id: GossipKeyId
    readonly isPrimary: boolean
    /** Members that have it installed. */
    readonly installed: number
    /** Members that seal with it. */
    readonly used: number
  }[]
  /** The key of a rotation that is not finished; null: none. */
  readonly rotating: GossipKeyId | null
}

export interface KeyChangeOptions {
  /**
   * Goes on without those that do not answer, and without those that lack the key: they hear
   * nothing until they have fetched it.
   */
  readonly force?: boolean
}

export interface InstallKeyOptions extends KeyChangeOptions {
  /** 32 bytes as hex; absent: a new one. */
  readonly key?: string
  /** The key is to become the primary: until then, or until it is removed, no other is begun. */
  readonly rotates?: boolean
}

/** Every method rejects with NotStartedError before `start` and StoppedError after `stop`. */
export interface SecurityManager {
  certificates(): CertificateStatus
  /** @throws CertificateError the files do not fit; what was in use stays */
  reloadCertificates(): Promise<CertificateStatus>
  /** Asks every member to read its own files again. */
  reloadEverywhere(): Promise<TellReport>
  revocations(): RevocationStatus
  /** Why the holder of a certificate that verified is not let in (any more); null: it is. */
  refusalOf(peer: PeerIdentity, certificate: PeerCertificate): string | null
  /**
   * Takes an authority's revocation list (PEM or DER), cuts who is on it, and tells all members.
   * @throws CertificateError not signed by an authority of ours
   */
  revoke(list: Uint8Array): Promise<TellReport>
  listKeys(): Promise<GossipKeysReport>
  /** Idempotent. @throws KeyChangeRefusedError, NoQuorumError */
  installKey(options?: InstallKeyOptions): Promise<GossipKeysReport>
  /** Idempotent; refused until every member has it. @throws KeyChangeRefusedError, NoQuorumError */
  useKey(id: GossipKeyId, options?: KeyChangeOptions): Promise<GossipKeysReport>
  /** Idempotent; never the primary. @throws KeyChangeRefusedError, NoQuorumError */
  removeKey(id: GossipKeyId, options?: KeyChangeOptions): Promise<GossipKeysReport>
}
