/**
 * How far this node trusts itself. The detector stretches its probe interval and timeouts by
 * `multiplier()` and reports what bears on it; Lifeguard's awareness is one implementation.
 */
export interface LocalHealth {
  /** 1 is well; whole numbers. */
  multiplier(): number
  onProbeAnswered(): void
  /** `nacksMissing` of the helpers asked did not say that they tried. */
  onProbeFailed(helpers: { readonly asked: number; readonly nacksMissing: number }): void
  /** Somebody suspected this node. */
  onRefuted(): void
  /** The node's own timers fired so much late. */
  onStalled(lateMs: number): void
}

/** Always well. */
export const steadyLocalHealth: LocalHealth = {
  multiplier: () => 1,
  onProbeAnswered() {},
  onProbeFailed() {},
  onRefuted() {},
  onStalled() {}
}
