import type { GroupId, LogIndex, NodeId, WallMs } from '../../../../src/core/ids.js'
import type { SeenIndex } from '../../../../src/core/sql-sessions.js'
import {
  applySessionChange,
  type SessionAnswer,
  type SessionChange
} from '../../../../src/failover/session/session-changes.js'
import {
  noSessions,
  type SessionRecord,
  type Sessions
} from '../../../../src/failover/session/session-record.js'

export const [a, b, c] = ['a', 'b', 'c'].map((name) => name as NodeId) as [NodeId, NodeId, NodeId]

export const id = (n: number): string => n.toString(16).padStart(32, '0')
/** What stands for a hash here. */
export const token = (n: number): Uint8Array => {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(0, n)
  return bytes
}
export const seen = (index: number, group = 0): SeenIndex => ({
  group: group as GroupId,
  index: index as LogIndex
})

/** The control group's part: changes one after the other, and the time between them. */
export class HomeGroup {
  state: Sessions = noSessions
  now = 1_000
  /** Of the entry that holds the changes. */
  index = 1

  apply(change: SessionChange): SessionAnswer {
    const at = { index: this.index as LogIndex, now: ++this.now as WallMs }
    const { state, answer } = applySessionChange(this.state, change, at)
    this.state = state
    return answer
  }

  get(session = id(1)): SessionRecord | undefined {
    return this.state.sessions.find((record) => record.id === session)
  }

  open(home = a, n = 1, client = 'app'): SessionAnswer {
    return this.apply({ kind: 'open', session: id(n), client, home, token: token(1), settings: [] })
  }

  attach(home: NodeId, shown: number, next: number, given: Partial<SessionRecord> = {}) {
    const { client = 'app', seen = [], lastInsertRowid = null } = given
    return this.apply({
      kind: 'attach',
      session: id(1),
      client,
      home,
      token: token(shown),
      next: token(next),
      seen,
      lastInsertRowid
    })
  }

  take(from: NodeId, epoch: number, home: NodeId, index = 0): SessionAnswer {
    const captured = { seen: index === 0 ? [] : [seen(index)], lastInsertRowid: null }
    return this.apply({ kind: 'take', session: id(1), from, epoch, home, ...captured })
  }
}
