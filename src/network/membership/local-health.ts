/**
 * How far this node trusts itself: the local health multiplier of Lifeguard (arXiv 1707.00788
 * section IV-A), with the lateness of the node's own timers as a further input.
 *
 * 1. The score stays within 0 and `scoreMax`; with a `scoreMax` of zero nothing moves it.
 * 2. A probe that was answered lowers it by one; only what bears on this node itself raises it:
 *    nacks that did not come, having to refute, timers that fired late.
 *
 * Owner's duties: stretch the probe interval and its timeouts by `multiplier`.
 */
export class LocalHealth {
  readonly scoreMax: number
  readonly #probeTimeoutMs: number
  #score = 0

  constructor(options: { readonly scoreMax: number; readonly probeTimeoutMs: number }) {
    this.scoreMax = options.scoreMax
    this.#probeTimeoutMs = options.probeTimeoutMs
  }

  /** Zero is well. */
  get score(): number {
    return this.#score
  }

  /** 1 is well; whole numbers. */
  get multiplier(): number {
    return this.#score + 1
  }

  onProbeAnswered(): void {
    this.#move(-1)
  }

  /**
   * `nacksMissing` of the helpers asked did not say that they tried. When all said so, the target
   * is at fault; when nobody could be asked, this node may be.
   */
  onProbeFailed(helpers: { readonly asked: number; readonly nacksMissing: number }): void {
    this.#move(helpers.asked === 0 ? 1 : helpers.nacksMissing)
  }

  /** Somebody suspected this node. */
  onRefuted(): void {
    this.#move(1)
  }

  /** The node's own timers fired so much late: by one, and by one for each probe timeout of it. */
  onLate(lateMs: number): void {
    this.#move(1 + Math.floor(lateMs / this.#probeTimeoutMs))
  }

  #move(by: number): void {
    this.#score = Math.min(this.scoreMax, Math.max(0, this.#score + by))
  }
}
