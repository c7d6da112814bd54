import { assert, must } from '../../core/assert.js'
import { Counters } from '../../core/counters.js'
import { after } from '../../core/deadlines.js'
import {
  InvalidArgumentError,
  KeyChangeRefusedError,
  NoQuorumError,
  NotAuthorizedError,
  ProtocolError
} from '../../core/errors.js'
import type { SecurityEvent } from '../../core/events.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Logger } from '../../core/ports/logger.js'
import { factsOf } from '../../core/remote-error.js'
import type {
  GossipKeyId,
  GossipKeysReport,
  InstallKeyOptions,
  KeyChangeOptions
} from '../../core/security-manager.js'
import { ByteReader } from '../../wire/byte-reader.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import { keyIdOf } from './datagram-header.js'
import { gossipKeyBytes } from './datagram-keyring.js'
import { DurableFile } from './durable-file-driver.js'
import {
  install,
  isNewer,
  type KeyRing,
  keyIdOfName,
  keyName,
  keysInOrder,
  type RingChange,
  remove,
  ringOfCarried,
  ringOfKeys,
  stateOf,
  use
} from './key-ring.js'
import {
  askKeyRing,
  type CarriedKeyRing,
  carriedKeyRing,
  compareSecurity,
  type KeyRingState,
  lockKeyRing,
  unlockKeyRing,
  writeKeyRing
} from './messages.js'
import { membersToTell, reportOf, type TellComponents, type Told, tellAll } from './tell-driver.js'

/** A lock that is not given back ends by itself: its holder may be gone. */
export const keyRingLeaseMs = 10_000
const ringFileBytesMax = 1_024
const catchUpTimeoutMs = 2_000

export interface KeyRingComponents extends TellComponents {
  readonly crypto: Crypto
  readonly disk: Disk
  readonly logger: Logger
  /** What datagrams are sealed and opened with from now on; the first seals. */
  readonly onKeys: (keys: readonly Uint8Array[]) => void
  readonly onEvent: (event: SecurityEvent) => void
}

const counterNames = [
  'gossip_keys_current',
  'gossip_key_changes',
  'gossip_key_changes_refused',
  'gossip_keys_fetched'
] as const

interface Lock {
  readonly token: number
  readonly holder: NodeId
  readonly until: MonotonicMs
}

/**
 * Keeps the gossip keys of this node, and changes those of all members.
 *
 * A change is made by whichever node was asked: it takes a lock on every member that answers,
 * needs those of a majority of the members that it knows (the dead count), takes over the newest
 * ring it sees, and writes the next one to all that granted. A node takes a ring from the holder of
 * its lock, or, when it compares with another member, a newer one: so who was down catches up.
 * As long as nodes know the same members and a change ends within the lease, two changes never
 * both get a majority; otherwise the higher version, then the greater writer's name, is kept.
 */
export class KeyRingDriver {
  readonly counters = new Counters(counterNames)
  readonly #components: KeyRingComponents
  readonly #nodeId: NodeId
  readonly #file: DurableFile
  #ring: KeyRing
  #lock: Lock | null = null
  /** Rings are made durable one after the other. */
  #adopting: Promise<unknown> = Promise.resolve()

  /** @param keys those of the key file, which the ring on disk succeeds */
  constructor(
    components: KeyRingComponents,
    options: { readonly nodeId: NodeId; readonly keys: readonly Uint8Array[] }
  ) {
    this.#components = components
    this.#nodeId = options.nodeId
    this.#file = new DurableFile(components.disk, 'security', 'keyring')
    this.#ring = ringOfKeys(components.crypto, options.keys)
  }

  get version(): Pick<KeyRing, 'version' | 'writer'> {
    return this.#ring
  }

  /** Reads the ring of an earlier life, and answers the other members from now on. */
  async start(): Promise<void> {
    const { messenger, logger } = this.#components
    try {
      const kept = await this.#read()
      if (kept !== null && isNewer(kept, this.#ring)) this.#ring = kept
    } catch (error) {
      logger.error({ cause: factsOf(error) }, 'the gossip keys on disk cannot be read')
    }
    this.#put()
    messenger.onRequest(lockKeyRing, async ({ from, body }) => {
      const granted = this.#grant(from, body.token, body.leaseMs)
      const heldBy = granted ? null : (this.#lock?.holder ?? null)
      return { granted, heldBy, state: stateOf(this.#ring) }
    })
    messenger.onRequest(writeKeyRing, async ({ from, body }) => {
      if (!this.#isLockedBy(from, body.token)) {
        throw new NotAuthorizedError(`${from} does not hold the lock of the gossip keys`)
      }
      await this.adopt(body.keyRing, from)
      return stateOf(this.#ring)
    })
    messenger.onMessage(unlockKeyRing, ({ from, body }) => {
      if (this.#isLockedBy(from, body.token)) this.#lock = null
    })
    messenger.onRequest(askKeyRing, async () => stateOf(this.#ring))
  }

  /** For a member whose ring is older; null: it is not. */
  newerThan(theirs: Pick<KeyRing, 'version' | 'writer'>): CarriedKeyRing | null {
    return isNewer(this.#ring, theirs) ? this.#ring : null
  }

  /** Takes a newer ring over, durably. False: it is not newer. @throws DiskFailedError */
  adopt(carried: CarriedKeyRing, from: NodeId): Promise<boolean> {
    const ring = ringOfCarried(this.#components.crypto, carried)
    if (ring === null) throw new ProtocolError(`the gossip keys from ${from} make no ring`)
    const adopted = this.#adopting.then(() => this.#adopt(ring, from))
    this.#adopting = adopted.catch(() => {})
    return adopted
  }

  /** Of a member that was compared with. */
  async takeOver(carried: CarriedKeyRing, from: NodeId): Promise<void> {
    if (await this.adopt(carried, from)) this.counters.add('gossip_keys_fetched')
  }

  async list(): Promise<GossipKeysReport> {
    const told = await tellAll(this.#components, membersToTell(this.#components), askKeyRing, {})
    return this.#report(told, told.answers)
  }

  install({ key, rotates = false, force }: InstallKeyOptions = {}): Promise<GossipKeysReport> {
    const { crypto } = this.#components
    const bytes = key === undefined ? crypto.randomBytes(gossipKeyBytes) : keyOfHex(key)
    const added = { id: keyIdOf(crypto, bytes), bytes, rotates }
    return this.#change({ force, plan: (ring) => install(ring, added, this.#nodeId) })
  }

  use(name: GossipKeyId, { force }: KeyChangeOptions = {}): Promise<GossipKeysReport> {
    const id = idOf(name)
    return this.#change({
      force,
      plan: (ring) => use(ring, id, this.#nodeId),
      obstacle: ({ keys }) => !keys.includes(id),
      refusal: (missing) => `key ${name} is not installed on ${missing.join(', ')}`
    })
  }

  remove(name: GossipKeyId, { force }: KeyChangeOptions = {}): Promise<GossipKeysReport> {
    const id = idOf(name)
    return this.#change({
      force,
      plan: (ring) => remove(ring, id, this.#nodeId),
      obstacle: ({ primary }) => primary === id,
      refusal: (missing) => `key ${name} may still be in use on ${missing.join(', ')}`
    })
  }

  async #change(change: Change): Promise<GossipKeysReport> {
    const { crypto, messenger } = this.#components
    const nodes = membersToTell(this.#components)
    const token = tokenOf(crypto.randomBytes(6))
    const body = { token, leaseMs: keyRingLeaseMs }
    const locks = await tellAll(this.#components, nodes, lockKeyRing, body)
    const granted = nodes.filter((nodeId) => locks.answers.get(nodeId)?.granted)
    try {
      this.#assertMajority(locks, granted, change)
      await this.#catchUp(locks)
      const next = this.#plan(change, locks)
      const writes = await tellAll(this.#components, granted, writeKeyRing, {
        token,
        keyRing: next
      })
      const others = [...locks.errors, ...writes.errors, ...refusedLocks(locks)]
      return this.#report({ nodes, answers: writes.answers, errors: others }, writes.answers)
    } catch (error) {
      this.counters.add('gossip_key_changes_refused')
      throw error
    } finally {
      for (const nodeId of granted) messenger.send(nodeId, unlockKeyRing, { token })
    }
  }

  #assertMajority(locks: Told<LockAnswer>, granted: readonly NodeId[], { force }: Change): void {
    const needed = Math.floor(locks.nodes.length / 2) + 1
    if (granted.length >= needed || (force && granted.length > 0)) return
    const [busy] = refusedLocks(locks)
    if (busy !== undefined) throw new KeyChangeRefusedError(busy.message)
    const missing = locks.errors.map(({ nodeId }) => nodeId)
    throw new NoQuorumError(
      `${granted.length} of ${locks.nodes.length} members answer, ${needed} are needed; ` +
        `missing: ${missing.join(', ')}`,
      { details: { needed, missing } }
    )
  }

  /** A change is made to the newest ring that one of the members has. */
  async #catchUp(locks: Told<LockAnswer>): Promise<void> {
    const newest = [...locks.answers].reduce((a, b) =>
      b[1].state.version > a[1].state.version ? b : a
    )
    const [from, { state }] = newest
    if (state.version <= this.#ring.version) return
    const { clock, messenger } = this.#components
    const deadline = after(clock.now(), catchUpTimeoutMs)
    const { version, writer } = this.#ring
    const asked = { lists: [], keyRing: { version, writer } }
    const answer = await messenger.request(from, compareSecurity, asked, { deadline })
    if (answer.keyRing !== null) await this.adopt(answer.keyRing, from)
  }

  #plan({ plan, obstacle, refusal, force }: Change, locks: Told<LockAnswer>): KeyRing {
    const outcome = plan(this.#ring)
    if (outcome.kind === 'refused') throw new KeyChangeRefusedError(outcome.reason)
    if (outcome.kind === 'same') return this.#ring
    const missing = locks.nodes.filter((nodeId) => {
      const answer = locks.answers.get(nodeId)
      return answer === undefined || obstacle?.(answer.state) === true
    })
    if (obstacle !== undefined && !force && missing.length > 0) {
      throw new KeyChangeRefusedError(must(refusal, 'refusal')(missing), { details: { missing } })
    }
    return outcome.ring
  }

  #grant(holder: NodeId, token: number, leaseMs: number): boolean {
    const now = this.#components.clock.now()
    const lock = this.#lock
    if (lock !== null && lock.until > now && lock.token !== token) return false
    this.#lock = { token, holder, until: after(now, Math.min(leaseMs, keyRingLeaseMs)) }
    return true
  }

  #isLockedBy(holder: NodeId, token: number): boolean {
    const lock = this.#lock
    if (lock === null || lock.until <= this.#components.clock.now()) return false
    return lock.holder === holder && lock.token === token
  }

  async #adopt(ring: KeyRing, from: NodeId): Promise<boolean> {
    if (!isNewer(ring, this.#ring)) return false
    await this.#file.replace(encode(ring))
    assert(isNewer(ring, this.#ring), 'two rings were adopted at once')
    this.#ring = ring
    this.counters.add('gossip_key_changes')
    this.#put()
    const keys = ring.ids.map(keyName)
    const { version, writer, primary } = ring
    const facts = { version, writer, primary: keyName(primary), keys, by: from }
    this.#components.logger.info(facts, 'gossip keys changed')
    this.#components.onEvent({ type: 'GossipKeysChanged', ...facts })
    return true
  }

  #put(): void {
    this.counters.set('gossip_keys_current', this.#ring.keys.length)
    this.#components.onKeys(keysInOrder(this.#ring))
  }

  async #read(): Promise<KeyRing | null> {
    const content = await this.#file.read()
    if (content === null) return null
    const reader = new ByteReader(content)
    const carried = carriedKeyRing.read(reader)
    reader.expectEnd()
    const ring = ringOfCarried(this.#components.crypto, carried)
    if (ring === null) throw new ProtocolError('the gossip keys on disk make no ring')
    return ring
  }

  #report(told: Told<unknown>, states: ReadonlyMap<NodeId, KeyRingState>): GossipKeysReport {
    const { primary, version, rotating } = this.#ring
    const answered = [...states.values()]
    const ids = [...new Set([...this.#ring.ids, ...answered.flatMap(({ keys }) => keys)])]
    return {
      ...reportOf(told),
      primary: keyName(primary),
      version,
      rotating: rotating === null ? null : keyName(rotating),
      keys: ids.map((id) => ({
        id: keyName(id),
        isPrimary: id === primary,
        installed: answered.filter(({ keys }) => keys.includes(id)).length,
        used: answered.filter((state) => state.primary === id).length
      }))
    }
  }
}

interface LockAnswer {
  readonly granted: boolean
  readonly heldBy: NodeId | null
  readonly state: KeyRingState
}

interface Change {
  readonly force: boolean | undefined
  readonly plan: (ring: KeyRing) => RingChange
  /** Whether a member with this state stands in the way; absent: none does. */
  readonly obstacle?: (state: KeyRingState) => boolean
  readonly refusal?: (missing: readonly NodeId[]) => string
}

const refusedLocks = ({ answers }: Told<LockAnswer>) =>
  [...answers].flatMap(([nodeId, { granted, heldBy }]) =>
    granted
      ? []
      : [
          {
            nodeId,
            code: 'ERR_SKEIN_KEY_CHANGE_REFUSED' as const,
            message: `${nodeId}: a change by ${heldBy ?? 'another'} is under way`
          }
        ]
  )

function encode(ring: KeyRing): Uint8Array {
  const writer = new ByteWriter(ringFileBytesMax)
  carriedKeyRing.write(writer, ring)
  return writer.take()
}

function idOf(name: GossipKeyId): number {
  const id = keyIdOfName(name)
  if (id === null) throw new InvalidArgumentError('id', 'must be 8 lower-case hex digits')
  return id
}

function keyOfHex(hex: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/i.test(hex)) {
    throw new InvalidArgumentError('key', `must be ${gossipKeyBytes} bytes as 64 hex digits`)
  }
  const pairs = hex.match(/../g) ?? []
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16))
}

/** 48 bits, so that it is a safe integer. */
const tokenOf = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0)
