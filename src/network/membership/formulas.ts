/** The arithmetic of SWIM with Lifeguard; every result in milliseconds or counts. */

/** How long a probe waits: for the answer itself, then for those of helpers and of the stream. */
export const probeMs = ({ probeTimeoutMs }: { readonly probeTimeoutMs: number }): number =>
  2 * probeTimeoutMs

/** α · max(1, log10 n) · the duration of a probe, and not below the floor. */
export function suspicionMinMs(
  config: {
    readonly suspicionMult: number
    readonly suspicionFloorMs: number
    readonly probeTimeoutMs: number
  },
  memberCount: number
): number {
  const scale = Math.max(1, Math.log10(Math.max(1, memberCount)))
  return Math.max(config.suspicionFloorMs, config.suspicionMult * scale * probeMs(config))
}

/** Accusers beyond the first that shrink a suspicion to its minimum; none where too few are. */
export function expectedConfirmations(mult: number, memberCount: number): number {
  const expected = Math.max(0, mult - 2)
  return memberCount - 2 < expected ? 0 : expected
}

/** How long a suspicion lasts in all, once `confirmations` others share it. */
export function suspicionTimeoutMs(suspicion: {
  readonly minMs: number
  readonly maxMs: number
  readonly expected: number
  readonly confirmations: number
}): number {
  const { minMs, maxMs, expected, confirmations } = suspicion
  if (expected < 1) return minMs
  const shrink = Math.log(confirmations + 1) / Math.log(expected + 1)
  return Math.max(minMs, maxMs - (maxMs - minMs) * shrink)
}

/** mult · ceil(log10(n + 1)) */
export const retransmitLimit = (mult: number, memberCount: number): number =>
  mult * Math.ceil(Math.log10(memberCount + 1))

const pushPullScaleFrom = 32

/** Stretched by ceil(log2 n − log2 32) + 1 above 32 members. */
export function pushPullDelayMs(intervalMs: number, memberCount: number): number {
  if (memberCount <= pushPullScaleFrom) return intervalMs
  return intervalMs * (Math.ceil(Math.log2(memberCount) - Math.log2(pushPullScaleFrom)) + 1)
}
