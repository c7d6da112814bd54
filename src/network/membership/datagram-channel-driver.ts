import { Counters } from '../../core/counters.js'
import { ProtocolError } from '../../core/errors.js'
import type { ClusterId, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { DatagramNetwork, DatagramSocket } from '../../core/ports/datagram-network.js'
import type { Address } from '../../core/ports/stream-network.js'
import { keyIdOf } from '../security/datagram-header.js'
import { DatagramOpener, type DatagramRefusal } from '../security/datagram-opener.js'
import { DatagramSealer } from '../security/datagram-sealer.js'
import {
  clusterTagOfId,
  type Packet,
  type PacketPart,
  PacketWriter,
  readPacket
} from './messages.js'
import type { Sender } from './swim.js'

export const datagramCounterNames = [
  'datagrams_sent',
  'datagrams_received',
  'datagram_bytes_sent',
  'datagram_bytes_received',
  'datagram_parts_unknown'
] as const
export type DatagramCounterName = (typeof datagramCounterNames)[number]

export const datagramRefusalNames = [
  'datagrams_refused_oversized',
  'datagrams_refused_truncated',
  'datagrams_refused_unknown_version',
  'datagrams_refused_foreign_cluster',
  'datagrams_refused_wrong_key',
  'datagrams_refused_forged',
  'datagrams_refused_old_boot',
  'datagrams_refused_replayed',
  'datagrams_refused_reflected',
  'datagrams_refused_malformed'
] as const
export type DatagramRefusalName = (typeof datagramRefusalNames)[number]

const counterOfRefusal: Readonly<Record<DatagramRefusal, DatagramRefusalName>> = {
  oversized: 'datagrams_refused_oversized',
  truncated: 'datagrams_refused_truncated',
  unknownVersion: 'datagrams_refused_unknown_version',
  foreignCluster: 'datagrams_refused_foreign_cluster',
  wrongKey: 'datagrams_refused_wrong_key',
  forged: 'datagrams_refused_forged',
  oldBoot: 'datagrams_refused_old_boot',
  replayed: 'datagrams_refused_replayed',
  reflected: 'datagrams_refused_reflected'
}

export interface DatagramChannelComponents {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly datagrams: DatagramNetwork
}

export interface DatagramChannelOptions {
  readonly nodeId: NodeId
  readonly clusterName: string
  readonly clusterId: () => ClusterId | null
  /** Null: `insecure`. */
  readonly gossipKeys: readonly Uint8Array[] | null
  readonly peersMax: number
}

/** Packets of messages over datagrams: sealed on the way out, opened and checked on the way in. */
export class DatagramChannel {
  readonly counters = new Counters<DatagramCounterName>(datagramCounterNames)
  /** Datagrams that were not believed, by reason. */
  readonly refusals = new Counters<DatagramRefusalName>(datagramRefusalNames)
  readonly #datagrams: DatagramNetwork
  readonly #clusterId: () => ClusterId | null
  readonly #sealer: DatagramSealer
  readonly #opener: DatagramOpener
  readonly #packets = new PacketWriter()
  readonly #crypto: Crypto
  #keyIds: readonly string[]
  #socket: DatagramSocket | null = null

  constructor(components: DatagramChannelComponents, options: DatagramChannelOptions) {
    const { clock, crypto } = components
    this.#datagrams = components.datagrams
    this.#clusterId = options.clusterId
    this.#crypto = crypto
    this.#keyIds = this.#idsOf(options.gossipKeys ?? [])
    this.#sealer = new DatagramSealer(crypto, options, Math.floor(clock.wallNow()))
    this.#opener = new DatagramOpener(crypto, options)
  }

  /** @throws what the datagram network throws when the address cannot be bound */
  async open(
    address: Address,
    onMessages: (messages: readonly PacketPart[], from: Sender) => void
  ): Promise<void> {
    this.#socket = await this.#datagrams.bind(address, (bytes, from) => {
      const opened = this.#open(bytes)
      if (opened !== null) onMessages(opened.messages, { nodeId: opened.sender, address: from })
    })
  }

  /** Best effort. */
  send(to: Address, messages: readonly PacketPart[]): void {
    if (this.#socket === null) return
    const sealed = this.#sealer.seal(this.#packets.write(this.#clusterId(), messages))
    this.counters.add('datagrams_sent')
    this.counters.add('datagram_bytes_sent', sealed.length)
    this.#socket.send(to, sealed)
  }

  /** The newest boot number that was believed of a member; null: none. */
  bootNumberOf(nodeId: NodeId): number | null {
    return this.#opener.bootNumberOf(nodeId)
  }

  /** A member believed this boot number of this node's. */
  raiseBootNumber(seen: number): void {
    this.#sealer.raiseBootNumber(seen)
  }

  /** Rotates the group's keys: the first seals, all open. */
  setKeys(keys: readonly Uint8Array[]): void {
    this.#opener.setKeys(keys)
    this.#sealer.setKeys(keys)
    this.#keyIds = this.#idsOf(keys)
  }

  /** Names of the keys, which do not reveal them; the first seals. */
  get keyIds(): readonly string[] {
    return this.#keyIds
  }

  async close(): Promise<void> {
    const socket = this.#socket
    this.#socket = null
    await socket?.close()
  }

  #open(bytes: Uint8Array): (Packet & { sender: NodeId }) | null {
    if (this.#socket === null) return null
    const outcome = this.#opener.open(bytes)
    if (outcome.kind === 'refused') {
      this.refusals.add(counterOfRefusal[outcome.reason])
      return null
    }
    const packet = this.#read(outcome.payload)
    if (packet === null) return null
    const ours = this.#clusterId()
    if (ours !== null && packet.clusterTag !== null && packet.clusterTag !== clusterTagOfId(ours)) {
      this.refusals.add('datagrams_refused_foreign_cluster')
      return null
    }
    this.counters.add('datagrams_received')
    this.counters.add('datagram_bytes_received', bytes.length)
    this.counters.add('datagram_parts_unknown', packet.unknownParts)
    return { ...packet, sender: outcome.sender }
  }

  #idsOf(keys: readonly Uint8Array[]): string[] {
    return keys.map((key) => keyIdOf(this.#crypto, key).toString(16).padStart(8, '0'))
  }

  #read(payload: Uint8Array): Packet | null {
    try {
      return readPacket(payload)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.refusals.add('datagrams_refused_malformed')
      return null
    }
  }
}
