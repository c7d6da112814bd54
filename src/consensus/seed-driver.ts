import type { Crypto } from '../core/ports/crypto.js'
import type { Disk } from '../core/ports/disk.js'
import type { LogStore } from '../core/ports/log-store.js'
import { IdentityStore } from './identity/identity-driver.js'
import type { ReplicaIdentity } from './identity/replica-identity.js'
import { type SeededGroup, seedRequests } from './identity/seed.js'

/**
 * Makes an empty data directory that of a founder. The log is on the same disk; the engines'
 * content is the caller's to put there. Durable when it resolves.
 */
export async function seedDirectory(
  components: { readonly disk: Disk; readonly crypto: Crypto; readonly log: LogStore },
  identity: ReplicaIdentity,
  groups: readonly SeededGroup[]
): Promise<void> {
  const { log } = components
  await new IdentityStore(components).found(identity)
  await log.open()
  try {
    await log.persist(seedRequests(identity, groups))
  } finally {
    await log.close()
  }
}
