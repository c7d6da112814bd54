/**
 * The base that a restored engine carries with it. The engine is restored first, the log hears of
 * it behind; where a crash came between, the engine's word brings the log there at the next start.
 */
import { messageSizeBytesMax } from '../../core/limits.js'
import type { BaseChange, HardState, LogBase, RecoveredGroup } from '../../core/ports/log-store.js'
import { ByteReader } from '../../wire/byte-reader.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import { bytes, logIndex, struct, term } from '../../wire/codec.js'

/** System keys below it are a replica's own, not the group's. */
export const localKeyPrefix = 'local/'
/** Holds the base to which the engine was restored last. */
export const baseKey = `${localKeyPrefix}base`

const codec = struct({
  index: logIndex,
  term,
  configurationIndex: logIndex,
  configuration: bytes(messageSizeBytesMax)
})

export function encodeBase(base: LogBase): Uint8Array {
  const writer = new ByteWriter(messageSizeBytesMax)
  codec.write(writer, base)
  return writer.take()
}

/** @throws ProtocolError */
export function decodeBase(encoded: Uint8Array): LogBase {
  const { configuration, ...rest } = codec.read(new ByteReader(encoded))
  return { ...rest, configuration: configuration.slice() }
}

export interface Reconciled {
  readonly recovered: RecoveredGroup
  /** What the log has to be told; null: nothing. */
  readonly change: BaseChange | null
}

/** `engineBase`: null where the engine was never restored. */
export function reconcile(recovered: RecoveredGroup, engineBase: LogBase | null): Reconciled {
  const { base, entries, hardState } = recovered
  if (engineBase === null || engineBase.index <= (base?.index ?? 0)) {
    return { recovered, change: null }
  }
  const { index } = engineBase
  const isHeld = entries.some((entry) => entry.index === index && entry.term === engineBase.term)
  return {
    recovered: {
      hardState: atLeast(hardState, engineBase),
      base: engineBase,
      entries: isHeld ? entries.filter((entry) => entry.index > index) : []
    },
    change: { base: engineBase, replacesLog: !isHeld }
  }
}

/** The term in which the snapshot was offered may not have become durable. */
const atLeast = (hardState: HardState, base: LogBase): HardState =>
  hardState.term >= base.term ? hardState : { term: base.term, vote: null }
