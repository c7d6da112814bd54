import type { Counters } from '../core/counters.js'

/** Metrics of the consensus room; those of groups are sums over the groups of this node. */
export const consensusCounterNames = [
  /** Terms in which a replica of this node became leader: the leader before had fallen silent. */
  'leader_elections',
  /** Because the one before had handed over. */
  'leaderships_transferred',
  'leaderships_lost',
  /** Entries proposed here. */
  'proposals',
  /** Proposals that Raft refused; nothing was replicated. */
  'proposals_refused',
  /** Entries committed, as this node learned of them. */
  'commits',
  /** Engine transactions, and the commands in them. */
  'applies',
  'commands_applied',
  'batches',
  'batch_commands',
  /** Answered from the table of kept answers. */
  'repeated_answers',
  /** Writes that met rows which a distributed transaction holds, once for each look. */
  'writes_set_aside',
  /** Reads likewise. */
  'reads_held_up',
  /** Entries of sections, such as transactions over groups. */
  'section_entries',
  /** Writes of clients that left as many answers as are kept. */
  'answers_refused',
  'indeterminate_answers',
  'read_rounds',
  /** Linearizable reads that were answered without a round, by a lease. */
  'lease_reads',
  /** The lease was over when the state had been read: a round was asked, and it was read again. */
  'lease_reads_withheld',
  'reads',
  /** They named how old the data may be, and that could not be proved. */
  'reads_too_stale',
  'log_syncs',
  'checks',
  'replicas_failed',
  /** Messages that carry the heartbeats of all groups for another host. */
  'host_beats',
  'groups_put_to_sleep',
  'groups_woken',
  /** Now. */
  'groups_asleep',
  /** Leaderships given away so that leaders are spread evenly. */
  'leaders_moved',
  /** Entries forgotten because the engine holds them. */
  'log_entries_compacted',
  /** Batches of writes that waited for a replica that catches up. */
  'batches_paced',
  'snapshots_taken',
  'snapshots_installed',
  /** Not taken, or not taken in: no room, damaged, of another format. */
  'snapshots_failed',
  'snapshot_chunks_sent',
  'snapshot_bytes_sent',
  'snapshot_chunks_received',
  'snapshot_bytes_received',
  /** Received by a process before this one, and not asked for again. */
  'snapshot_bytes_resumed',
  /** Of snapshots on their way in, now. */
  'snapshot_bytes_missing',
  /** Asked for again: their checksums did not fit. */
  'snapshot_chunks_damaged',
  'messages_sent',
  'messages_received',
  /** Of another replica than the sender's, or of a group that is not here. */
  'messages_dropped',
  /** Of elections, from nodes that had not said yet what they have heard of this one's starts. */
  'messages_held_back'
] as const
export type ConsensusCounter = (typeof consensusCounterNames)[number]
export type ConsensusCounters = Counters<ConsensusCounter>
