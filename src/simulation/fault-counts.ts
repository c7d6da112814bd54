/** The kinds of faults, and how often each really did something to somebody. */
export const faultKinds = [
  'crash',
  'torn_write',
  'unsynced_loss',
  'pause',
  'partition',
  'one_way',
  'swizzle',
  'loss',
  'duplicate',
  'reorder',
  'delay',
  'skew',
  'revocation'
] as const
export type FaultKind = (typeof faultKinds)[number]

export type FaultCounts = Record<FaultKind, number>

export const noFaults = (): FaultCounts =>
  Object.fromEntries(faultKinds.map((kind) => [kind, 0])) as FaultCounts

export function addFaults(into: FaultCounts, more: Readonly<FaultCounts>): void {
  for (const kind of faultKinds) into[kind] += more[kind]
}
