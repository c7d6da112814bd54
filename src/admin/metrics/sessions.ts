import { counter, gauge, type MetricFamily } from './metric.js'

/** SQL sessions at home on this node. */
export const sessions: MetricFamily = {
  sessions_open: gauge('Sessions at home on this node.'),
  sessions_opened: counter('Sessions that programs opened here.'),
  sessions_closed: counter('Sessions that ended here.'),
  sessions_reattached: counter('Sessions that were taken over here by their program’s token.'),
  sessions_detached: counter('Sessions whose program was not heard of for a while.'),
  session_requests: counter('Queries of sessions that came to this node.'),
  session_requests_held: counter('Requests that waited for a move to end.'),
  session_captures: counter('Reports of what a session has come to.'),
  session_migrations: counter('Sessions moved from this node to another.'),
  session_migrations_refused: counter('Attempts to move a session away that were refused.'),
  session_migrations_in_doubt: counter('Moves of which the control group had to tell the end.'),
  sessions_taken: counter('Sessions that other nodes brought here.')
}
