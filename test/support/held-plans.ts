import type { Engine, PlanContext, PlanRequest } from '../../src/core/ports/engine.js'

/** Engines whose plans wait while they are held. */
export class HeldPlans {
  #isHeld = false
  #held: (() => void)[] = []

  readonly wrap = (engine: Engine): Engine => {
    const plan = engine.plan.bind(engine)
    return Object.assign(engine, {
      plan: async (request: PlanRequest, context: PlanContext) => {
        if (this.#isHeld) await new Promise<void>((resolve) => this.#held.push(resolve))
        return plan(request, context)
      }
    })
  }

  /** Plans that wait. */
  get heldCount(): number {
    return this.#held.length
  }

  hold(): void {
    this.#isHeld = true
  }

  release(): void {
    this.#isHeld = false
    for (const goOn of this.#held.splice(0)) goOn()
  }
}
