import { counter, gauge, type MetricFamily } from './metric.js'

/** Copies of all groups at one moment. */
export const backups: MetricFamily = {
  backups_taken: counter('Backups taken on this node.'),
  backups_failed: counter('Backups that could not be taken.'),
  backup_bytes_copied: counter('Bytes of the copies made for backups.'),
  backup_bytes_read: counter('Bytes of them that were read.'),
  backup_bytes_kept: gauge('Bytes of copies that are kept now, until they are read.')
}
