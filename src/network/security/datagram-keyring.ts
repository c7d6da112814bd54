import { InvalidArgumentError } from '../../core/errors.js'
import type { NodeId } from '../../core/ids.js'
import type { Crypto } from '../../core/ports/crypto.js'
import { keyIdOf } from './datagram-header.js'

export const gossipKeyBytes = 32
/** Keys of one ring: the current one, its predecessors and a successor being handed out. */
export const gossipKeysMax = 8

export interface GroupKey {
  readonly id: number
  readonly key: Uint8Array
}

/** The group's keys: the first seals, all open. */
export class DatagramKeyring {
  readonly primary: GroupKey
  readonly #byId: ReadonlyMap<number, GroupKey>

  /** @throws InvalidArgumentError no key, too many, one that is not 32 bytes, one given twice */
  constructor(crypto: Crypto, keys: readonly Uint8Array[]) {
    if (keys.length > gossipKeysMax) {
      throw new InvalidArgumentError('gossipKeys', `at most ${gossipKeysMax} keys`)
    }
    const groupKeys = keys.map((key) => {
      if (key.length !== gossipKeyBytes) {
        throw new InvalidArgumentError('gossipKeys', `a key has ${gossipKeyBytes} bytes`)
      }
      return { id: keyIdOf(crypto, key), key }
    })
    const [primary] = groupKeys
    if (primary === undefined) throw new InvalidArgumentError('gossipKeys', 'at least one key')
    this.primary = primary
    this.#byId = new Map(groupKeys.map((key) => [key.id, key]))
    if (this.#byId.size !== keys.length) {
      throw new InvalidArgumentError('gossipKeys', 'a key is given twice')
    }
  }

  byId(id: number): GroupKey | undefined {
    return this.#byId.get(id)
  }
}

/** The key of one boot of one sender; no two boots share one, so counters may begin at zero. */
export const bootKeyOf = (
  crypto: Crypto,
  group: GroupKey,
  sender: NodeId,
  bootNonce: Uint8Array
): Uint8Array =>
  crypto.deriveKey(group.key, bootNonce, `skein gossip boot key ${sender}`, gossipKeyBytes)
