import type { Config } from './config/schema.js'

/** The configuration of this node as it is in effect: `manager.config`. */
export interface ClusterConfig {
  /** Frozen; every change makes a new one. */
  current(): Config
  /** Dotted paths of the fields that `change` takes. */
  readonly reloadable: readonly string[]
  /**
   * From now on, for this node, until it ends: its file is not written. All of it or nothing.
   * @param changes fields by section: `{ routing: { queryTimeoutMs: 2_000 } }`
   * @throws InvalidConfigError with every fault at once
   * @throws NotStartedError, StoppedError
   */
  change(changes: unknown): Config
}
