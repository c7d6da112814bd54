import type { Engine } from '../../src/core/ports/engine.js'

/** How engines are asked. */
export class EngineLooks {
  atOnceMax = 0
  discards = 0
  #open = 0

  readonly wrap = (engine: Engine): Engine => {
    const prepare = engine.prepare?.bind(engine)
    const discard = engine.discard.bind(engine)
    return Object.assign(engine, {
      prepare: async (...args: Parameters<NonNullable<Engine['prepare']>>) => {
        this.atOnceMax = Math.max(this.atOnceMax, ++this.#open)
        try {
          return await prepare?.(...args)
        } finally {
          this.#open--
        }
      },
      discard: () => {
        this.discards++
        return discard()
      }
    })
  }
}
