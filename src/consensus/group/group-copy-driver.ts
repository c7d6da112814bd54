import { SnapshotRefusedError } from '../../core/errors.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Engine, EngineSnapshot, SnapshotStart } from '../../core/ports/engine.js'

/** A copy of a group's content for which everything is at hand but its moment. */
export interface GroupCopy {
  /**
   * Copied is everything that was acknowledged before the call, and perhaps more.
   * @throws NoLeaderError, RequestTimeoutError, SnapshotRefusedError
   */
  pin(deadline: MonotonicMs): Promise<void>
  /** After `pin`. */
  copy(): Promise<EngineSnapshot>
  /** Gives it up; harmless when it has ended, or is copied. */
  abandon(): Promise<void>
}

/**
 * An engine whose moment cannot be chosen has copied everything when it is pinned.
 * @throws SnapshotRefusedError
 */
export async function beginSnapshot(engine: Engine): Promise<SnapshotStart> {
  if (engine.beginSnapshot !== undefined) return engine.beginSnapshot()
  if (engine.snapshot === undefined) throw new SnapshotRefusedError('the engine takes none')
  let taken: EngineSnapshot | null = null
  return {
    pin: async () => {
      taken = (await engine.snapshot?.()) ?? null
    },
    copy: async () => {
      const copied = taken
      taken = null
      if (copied === null) throw new SnapshotRefusedError('nothing is pinned')
      return copied
    },
    abandon: async () => {
      await taken?.close()
    }
  }
}
