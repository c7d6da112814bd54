/**
 * Exactly-once execution: which client had which serial executed, and with what answer. Part of the
 * replicated state, therefore a function of the committed entries alone: time is the group's log
 * time, and the limits travel in each entry, from the leader that proposed it.
 *
 * Source: Raft dissertation 6.3.
 *
 * Invariants:
 * 1. A serial at or above the client's low-water mark is executed at most once.
 * 2. The client's newest answer is kept, whatever its low-water mark.
 * 3. `restore` of the written keys gives a table that behaves the same for ever after.
 *
 * Owner's duties: commit what `apply` and `register` answer in the same engine transaction as the
 * commands; look a tag up in a table that has applied every earlier entry.
 *
 * Keys: `client/time` the log time; `client/id/<client>` a registration;
 * `client/answer/<slot>/<client>` an answer. A slot is the smallest free number of its client, so
 * that a client with one command on the way overwrites one key for ever.
 */
import { assert } from '../core/assert.js'
import { type ClientId, compareText, type LogIndex, type Serial, toClientId } from '../core/ids.js'
import { keptResultSizeBytesMax } from '../core/limits.js'
import type { SystemWrite } from '../core/ports/engine.js'
import type { ClientTag } from '../core/ports/replicated-group.js'
import { ByteReader } from '../wire/byte-reader.js'
import { ByteWriter } from '../wire/byte-writer.js'
import { bytes, logIndex, nullable, serial, struct, u64 } from '../wire/codec.js'

export interface ClientLimits {
  readonly clientsMax: number
  readonly clientIdleTimeoutMs: number
}

export type Lookup =
  | { readonly kind: 'new' }
  /** Executed before, by the entry at `index`; the answer is null when it was too large to keep. */
  | { readonly kind: 'executed'; readonly index: LogIndex; readonly result: Uint8Array | null }
  | { readonly kind: 'forgotten' }
  | { readonly kind: 'expired' }

/** A tagged command as it stands in an entry. */
export interface TaggedAnswer {
  readonly tag: ClientTag
  readonly result: Uint8Array | null
}

interface KeptAnswer {
  readonly slot: number
  readonly serial: Serial
  readonly index: LogIndex
  readonly logTime: number
  readonly answeredBelow: Serial
  readonly result: Uint8Array | null
}

interface Client {
  lastUsed: number
  answeredBelow: number
  readonly answers: Map<Serial, KeptAnswer>
}

const answerCodec = struct({
  serial,
  index: logIndex,
  logTime: u64,
  answeredBelow: serial,
  result: nullable(bytes(keptResultSizeBytesMax))
})

/** Every key of the table begins with it. */
export const clientKeyPrefix = 'client/'
const timeKey = 'client/time'
const registrationPrefix = 'client/id/'
const answerPrefix = 'client/answer/'

export class ClientTable {
  /** In the order of (last use, id), the same on every replica. */
  #clients = new Map<ClientId, Client>()
  #logTime = 0

  /** From the keys under `clientKeyPrefix`, as the engine holds them. */
  static restore(writes: readonly SystemWrite[]): ClientTable {
    const table = new ClientTable()
    for (const { key, value } of writes) if (value !== null) table.#load(key, value)
    table.#sort()
    return table
  }

  get logTime(): number {
    return this.#logTime
  }

  get size(): number {
    return this.#clients.size
  }

  /** What stands of this command, at the log time that its entry would get. */
  lookup(tag: ClientTag, logTime: number, limits: ClientLimits): Lookup {
    const client = this.#clients.get(tag.clientId)
    if (client === undefined || client.lastUsed + limits.clientIdleTimeoutMs < logTime) {
      return { kind: 'expired' }
    }
    const answer = client.answers.get(tag.serial)
    if (answer !== undefined) {
      return { kind: 'executed', index: answer.index, result: answer.result }
    }
    return { kind: tag.serial < client.answeredBelow ? 'forgotten' : 'new' }
  }

  /** Answers that the client has not said to have, after what `tag` says. */
  unansweredCount(tag: ClientTag): number {
    let count = 0
    for (const kept of this.#clients.get(tag.clientId)?.answers.keys() ?? []) {
      if (kept >= tag.answeredBelow) count++
    }
    return count
  }

  /** A batch was committed at `index`; answers what to write with it. */
  apply(
    logTime: number,
    limits: ClientLimits,
    answers: readonly TaggedAnswer[],
    index: LogIndex
  ): SystemWrite[] {
    const writes = this.#begin(logTime, limits)
    const used = new Set<ClientId>()
    for (const { tag, result } of answers) {
      const client = this.#clients.get(tag.clientId)
      if (client === undefined) continue
      this.#keep(tag, { client, result, index }, writes)
      used.add(tag.clientId)
    }
    this.#touch(used)
    return finish(writes)
  }

  /** Registrations were committed; one that is known already is only used. */
  register(logTime: number, limits: ClientLimits, clientIds: readonly ClientId[]): SystemWrite[] {
    const writes = this.#begin(logTime, limits)
    const used = new Set<ClientId>()
    for (const clientId of clientIds) {
      if (!this.#clients.has(clientId)) {
        this.#makeRoom(limits.clientsMax - 1, writes)
        this.#clients.set(clientId, { lastUsed: logTime, answeredBelow: 0, answers: new Map() })
      }
      writes.set(registrationPrefix + clientId, encodeTime(logTime))
      used.add(clientId)
    }
    this.#touch(used)
    return finish(writes)
  }

  #begin(logTime: number, limits: ClientLimits): Map<string, Uint8Array | null> {
    const writes = new Map<string, Uint8Array | null>([[timeKey, encodeTime(logTime)]])
    this.#logTime = logTime
    for (const [clientId, client] of this.#clients) {
      if (client.lastUsed + limits.clientIdleTimeoutMs >= logTime) break
      this.#remove(clientId, client, writes)
    }
    return writes
  }

  #keep(
    tag: ClientTag,
    answer: { client: Client; result: Uint8Array | null; index: LogIndex },
    writes: Map<string, Uint8Array | null>
  ): void {
    const { client, result, index } = answer
    assert(
      tag.serial >= client.answeredBelow && !client.answers.has(tag.serial),
      `serial ${tag.serial} of client ${tag.clientId} was committed twice`
    )
    client.answeredBelow = Math.max(client.answeredBelow, tag.answeredBelow)
    for (const [kept, { slot }] of client.answers) {
      if (kept >= client.answeredBelow) continue
      client.answers.delete(kept)
      writes.set(answerKey(slot, tag.clientId), null)
    }
    const slot = freeSlot(client)
    const kept: KeptAnswer = {
      slot,
      serial: tag.serial,
      index,
      logTime: this.#logTime,
      answeredBelow: client.answeredBelow as Serial,
      result
    }
    client.answers.set(tag.serial, kept)
    writes.set(answerKey(slot, tag.clientId), encodeAnswer(kept))
  }

  /** The order within one entry does not count: after a restart nobody could know it. */
  #touch(used: ReadonlySet<ClientId>): void {
    for (const clientId of [...used].sort(compareText)) {
      const client = this.#clients.get(clientId)
      if (client === undefined) continue
      client.lastUsed = this.#logTime
      this.#clients.delete(clientId)
      this.#clients.set(clientId, client)
    }
  }

  #makeRoom(countMax: number, writes: Map<string, Uint8Array | null>): void {
    for (const [clientId, client] of this.#clients) {
      if (this.#clients.size <= countMax) break
      this.#remove(clientId, client, writes)
    }
  }

  #remove(clientId: ClientId, client: Client, writes: Map<string, Uint8Array | null>): void {
    this.#clients.delete(clientId)
    writes.set(registrationPrefix + clientId, null)
    for (const { slot } of client.answers.values()) writes.set(answerKey(slot, clientId), null)
  }

  #load(key: string, value: Uint8Array): void {
    if (key === timeKey) {
      this.#logTime = decodeTime(value)
    } else if (key.startsWith(registrationPrefix)) {
      const client = this.#clientOf(key.slice(registrationPrefix.length))
      client.lastUsed = Math.max(client.lastUsed, decodeTime(value))
    } else if (key.startsWith(answerPrefix)) {
      const slash = key.indexOf('/', answerPrefix.length)
      const slot = Number(key.slice(answerPrefix.length, slash))
      const kept = { slot, ...decodeAnswer(value) }
      const client = this.#clientOf(key.slice(slash + 1))
      client.answers.set(kept.serial, kept)
      client.lastUsed = Math.max(client.lastUsed, kept.logTime)
      client.answeredBelow = Math.max(client.answeredBelow, kept.answeredBelow)
    }
  }

  #clientOf(text: string): Client {
    const clientId = toClientId(text)
    const known = this.#clients.get(clientId)
    if (known !== undefined) return known
    const client: Client = { lastUsed: 0, answeredBelow: 0, answers: new Map() }
    this.#clients.set(clientId, client)
    return client
  }

  #sort(): void {
    const byUse = [...this.#clients].sort(
      ([a, { lastUsed: at }], [b, { lastUsed: bt }]) => at - bt || compareText(a, b)
    )
    this.#clients = new Map(byUse)
  }
}

function freeSlot(client: Client): number {
  const used = new Set<number>()
  for (const { slot } of client.answers.values()) used.add(slot)
  let slot = 0
  while (used.has(slot)) slot++
  return slot
}

const answerKey = (slot: number, clientId: ClientId): string => `${answerPrefix}${slot}/${clientId}`

function encodeAnswer(answer: KeptAnswer): Uint8Array {
  const writer = new ByteWriter(keptResultSizeBytesMax + 256)
  answerCodec.write(writer, answer)
  return writer.take()
}

const decodeAnswer = (value: Uint8Array): Omit<KeptAnswer, 'slot'> =>
  answerCodec.read(new ByteReader(value))

function encodeTime(logTime: number): Uint8Array {
  const writer = new ByteWriter(8)
  writer.u64(logTime)
  return writer.take()
}

const decodeTime = (value: Uint8Array): number => new ByteReader(value).u64()

/** In key order, so that every replica writes the same. */
const finish = (writes: ReadonlyMap<string, Uint8Array | null>): SystemWrite[] =>
  [...writes].map(([key, value]) => ({ key, value })).sort((a, b) => compareText(a.key, b.key))
