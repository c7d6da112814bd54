import type { NodeId } from './ids.js'

/** A pair that one node owns; `version` rises with each change its owner makes to any pair. */
export interface MetadataEntry {
  readonly key: string
  readonly value: string
  readonly version: number
}

/**
 * Small values that each node states about itself and every node can read. They spread by gossip
 * and are eventually the same everywhere; nobody else can change them. They outlive a restart of
 * their owner, and are forgotten with it.
 */
export interface ClusterMetadata {
  /**
   * Of this node's own.
   * @param key 1 to 128 bytes, without control characters
   * @param value at most 512 bytes; 64 keys and 16 KiB in all
   * @throws InvalidArgumentError naming `key`, `value` or `metadata`
   */
  set(key: string, value: string): void
  /** Of this node's own; false: it had none. */
  delete(key: string): boolean
  /** Of this node, or of `nodeId` as far as it was heard here. */
  get(key: string, nodeId?: NodeId): string | undefined
  /** This node's own, by key. */
  entries(): readonly MetadataEntry[]
  /** Another node's, as far as they were heard here, by key. */
  of(nodeId: NodeId): readonly MetadataEntry[]
}
