/** The identity file of a data directory: after a crash it is the old or the new one. */
import { DataDirectoryForeignError, LogCorruptedError } from '../../core/errors.js'
import type { GroupId, NodeId, ReplicaId } from '../../core/ids.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { Disk } from '../../core/ports/disk.js'
import { replaceFile } from './replace-file-driver.js'
import {
  decodeIdentity,
  encodeIdentity,
  freshIdentity,
  type ReplicaIdentity
} from './replica-identity.js'

export const identityFile = 'identity'

export class IdentityStore {
  readonly #disk: Disk
  readonly #crypto: Crypto
  #identity: ReplicaIdentity | null = null

  constructor(components: { readonly disk: Disk; readonly crypto: Crypto }) {
    this.#disk = components.disk
    this.#crypto = components.crypto
  }

  /**
   * Reads who this directory is; an empty one becomes a new replica.
   * @param hasLog whether the directory holds a log: then an identity must be there
   * @throws DataDirectoryForeignError another node's or another cluster's
   * @throws LogCorruptedError unreadable, or missing beside a log
   */
  async open(nodeId: NodeId, clusterName: string, hasLog: boolean): Promise<ReplicaIdentity> {
    const bytes = await this.#disk.readFile(identityFile)
    if (bytes !== null) {
      const found = decodeIdentity(bytes)
      expectOwn(found, nodeId, clusterName)
      // What a dead process may have left un-synced is built upon from here.
      await this.#disk.syncDirectory('')
      this.#identity = found
      return found
    }
    if (hasLog) {
      throw new LogCorruptedError(`there is a log, but no file ${identityFile}`)
    }
    return this.#write(freshIdentity(this.#crypto, nodeId, clusterName))
  }

  /**
   * Null: the directory is nobody's yet.
   * @throws LogCorruptedError unreadable
   */
  async read(): Promise<ReplicaIdentity | null> {
    const bytes = await this.#disk.readFile(identityFile)
    return bytes === null ? null : decodeIdentity(bytes)
  }

  /** The directory becomes this replica's, whosever it was. Durable when it resolves. */
  async found(identity: ReplicaIdentity): Promise<ReplicaIdentity> {
    return this.#write(identity)
  }

  /** Durable when it resolves. */
  async pledge(
    founders: readonly ReplicaId[],
    groups: readonly GroupId[]
  ): Promise<ReplicaIdentity> {
    if (this.#identity === null) throw new LogCorruptedError('the identity was not opened')
    return this.#write({ ...this.#identity, founders, groups })
  }

  async #write(identity: ReplicaIdentity): Promise<ReplicaIdentity> {
    await replaceFile(this.#disk, identityFile, encodeIdentity(identity))
    this.#identity = identity
    return identity
  }
}

function expectOwn(found: ReplicaIdentity, nodeId: NodeId, clusterName: string): void {
  if (found.nodeId !== nodeId) {
    throw new DataDirectoryForeignError(`the data directory belongs to node ${found.nodeId}`, {
      details: { expected: nodeId, found: found.nodeId }
    })
  }
  if (found.clusterName !== clusterName) {
    throw new DataDirectoryForeignError(
      `the data directory belongs to cluster ${found.clusterName}`,
      { details: { expected: clusterName, found: found.clusterName } }
    )
  }
}
