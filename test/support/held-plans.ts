import type { Engine, PlanContext, PlanRequest } from '../../src/core/ports/engine.js'

/** Engines whose plans wait while they are held. */
export class HeldPlans {
  #isHeld = false
  #held: (() => void)[] = []

  /** As `engine`, but for its plans. */
  of(engine: Engine): Engine {
    return new Proxy(engine, {
      get: (target, name) => {
        if (name === 'plan') return this.#planOf(target)
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
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

  #planOf(engine: Engine) {
    return async (request: PlanRequest, context: PlanContext) => {
      if (this.#isHeld) await new Promise<void>((resolve) => this.#held.push(resolve))
      return engine.plan(request, context)
    }
  }
}
