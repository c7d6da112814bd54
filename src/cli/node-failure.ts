import { type ClusterManager, RolledBackError } from '../core/index.js'

/**
 * Rejects when peers have proved that the data directory was put back to an older copy: a process
 * that went on would stand by what is no longer so. Settles in no other way; called before the
 * start, so that nothing is missed.
 */
export function failureOf(manager: Pick<ClusterManager, 'subscribeToEvents'>): Promise<never> {
  const events = manager.subscribeToEvents()
  const wait = async (): Promise<never> => {
    for await (const event of events) {
      if (event.type !== 'ReplicaFailed' || event.code !== 'ERR_SKEIN_ROLLED_BACK') continue
      events.close()
      throw new RolledBackError(event.message)
    }
    return new Promise(() => {})
  }
  const failed = wait()
  // It may come before anybody waits for it.
  failed.catch(() => {})
  return failed
}
