import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { Address } from '../../core/ports/stream-network.js'

/** What membership needs of the transport beyond a `Messenger`. */
export interface MembershipMessenger extends Messenger {
  /** Connects to an address whose node is not known yet; answers who is there. */
  dialAddress(address: Address, deadline: MonotonicMs): Promise<NodeId>
}
