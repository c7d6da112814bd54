/** Who was taken back is at no end of a connection of a node that knows it. */
import type { ByteStream, PeerIdentity, SecurityManager } from '../core/index.js'
import type { SimulatedAuthority } from './simulated-credentials.js'
import { Invariants, type Violations } from './violations.js'
import type { SimulatedProcess } from './virtual-clock.js'

export interface TrustWatch {
  readonly authority: SimulatedAuthority
  readonly openEnds: (process: SimulatedProcess) => readonly ByteStream[]
}

export class TrustInvariants {
  readonly #violations: Violations
  readonly #watch: TrustWatch

  constructor(violations: Violations, watch: TrustWatch) {
    this.#violations = violations
    this.#watch = watch
  }

  /** Of a node whose event has just run. */
  afterEvent(process: SimulatedProcess, security: SecurityManager): void {
    const { authority, openEnds } = this.#watch
    if (authority.listNumber === 0) return
    for (const { peer, certificate } of openEnds(process)) {
      const refusal = certificate === null ? null : security.refusalOf(peer, certificate)
      if (refusal === null) continue
      const detail = `${process.name} keeps a connection with ${nameOf(peer)}: ${refusal}`
      this.#violations.report(Invariants.RevokedKept, detail)
    }
  }
}

const nameOf = (peer: PeerIdentity): string => (peer.kind === 'node' ? peer.nodeId : peer.name)
