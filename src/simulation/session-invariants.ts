/**
 * SQL sessions, by what each replica of the control group holds of them: in one epoch a session has
 * one home, epochs never go back, and a token takes a session over once.
 */
import { type Engine, type LogIndex, NEVER, type NodeId } from '../core/index.js'
import { type SessionRecord, sessionsSection } from '../failover/index.js'
import { ByteReader } from '../wire/index.js'
import { Invariants, type Violations } from './violations.js'

const anyState = { atLeastIndex: 0 as LogIndex, deadline: NEVER }

export class SessionInvariants {
  readonly #violations: Violations
  readonly #homes = new Map<string, NodeId>()
  /** A used token, and which one came after it. */
  readonly #followers = new Map<string, string>()
  /** Of each replica: the epochs of its sessions. */
  readonly #epochs = new Map<string, Map<string, number>>()
  /** What each replica held when it was last looked at. */
  readonly #seen = new Map<string, Uint8Array>()

  constructor(violations: Violations) {
    this.#violations = violations
  }

  /** The replica has another state than before, or holds this after its start. */
  async onState(replica: string, engine: Engine, isNew: boolean): Promise<void> {
    const outcome = await engine.read([{ sql: sessionsSection.name }], anyState)
    if (outcome.kind !== 'rows') return
    const encoded = outcome.results[0]?.rows[0]?.[0]
    if (!(encoded instanceof Uint8Array)) return
    const before = this.#seen.get(replica)
    this.#seen.set(replica, encoded)
    if (isNew) this.#epochs.delete(replica)
    // Most changes of the control group concern no session.
    else if (before !== undefined && isSame(before, encoded)) return
    for (const session of sessionsSection.state.read(new ByteReader(encoded)).sessions) {
      this.#judge(replica, session)
    }
  }

  #judge(replica: string, { id, epoch, home, token, usedToken }: SessionRecord): void {
    const inEpoch = `${id} in epoch ${epoch}`
    const known = this.#homes.get(inEpoch)
    if (known === undefined) this.#homes.set(inEpoch, home)
    else if (known !== home) this.#report(`${inEpoch} is at home on ${known} and on ${home}`)
    const epochs = this.#epochs.get(replica) ?? new Map<string, number>()
    this.#epochs.set(replica, epochs)
    const before = epochs.get(id) ?? 0
    if (epoch < before) this.#report(`${id}: epoch ${epoch} after ${before} at ${replica}`)
    epochs.set(id, epoch)
    if (usedToken.length === 0) return
    const used = `${id} ${hex(usedToken)}`
    const follower = this.#followers.get(used)
    const next = hex(token)
    if (follower === undefined) this.#followers.set(used, next)
    else if (follower !== next) this.#report(`${id}: a token took it over twice`)
  }

  #report(detail: string): void {
    this.#violations.report(Invariants.OneSessionHome, detail)
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false
  return true
}
