import type { ConsensusEvent, TransportEvent } from '../core/events.js'
import type { NodeId } from '../core/ids.js'
import type { Member } from '../core/member.js'

/** What a client tells its subscribers; events that nodes have too are the same. */
export type ClientEventBody =
  | TransportEvent
  | Extract<ConsensusEvent, { type: 'LeaderChanged' }>
  /** The members are others, elsewhere or in another state; `toldBy` said so. */
  | {
      readonly type: 'ClusterChanged'
      readonly members: readonly Member[]
      readonly toldBy: NodeId
    }
