/** What a node says to the supervisor that spawned it; the channel's end tells it to stop. */
import type { ClusterEvent, ErrorCode } from '../core/index.js'

export type NodeMessage =
  | {
      readonly type: 'ready'
      readonly nodeId: string
      readonly address: string
      /** Base URL of the admin API. */
      readonly admin: string | null
    }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly type: 'event'; readonly event: ClusterEvent }
