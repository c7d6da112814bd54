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
  /**
   * A SQL session has another home: the cluster moved it, or its home was lost and the session was
   * taken over.
   */
  | {
      readonly type: 'SessionHomeChanged'
      readonly session: string
      readonly kind: 'followed' | 'reattached'
      readonly from: NodeId | null
      readonly to: NodeId
    }
