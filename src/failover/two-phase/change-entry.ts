import { type Change, changesMax } from './changes.js'

/** Of changes that go together, about; a larger one goes alone. */
const entryTargetBytes = 256 * 1024

/** As many as go together. */
export function takeEntry(changes: Change[]): readonly Change[] {
  let count = 0
  let bytes = 0
  for (const change of changes) {
    bytes += sizeOf(change)
    if (count > 0 && (bytes > entryTargetBytes || count >= changesMax)) break
    count++
  }
  return changes.splice(0, count)
}

/** About; rows and groups are counted at their most. */
function sizeOf(change: Change): number {
  if (change.kind !== 'prepare') return 5_000
  const { readKeys, writeKeys } = change.locks
  const keys = [readKeys, writeKeys].flatMap((one) => (one === 'all' ? [] : one))
  const keyBytes = keys.reduce((sum, key) => sum + 3 * key.length + 4, 0)
  return keyBytes + (change.command?.bytes.length ?? 0) + (change.kept?.length ?? 0) + 1_024
}
