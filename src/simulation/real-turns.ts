/** Turns that are asked for at once: the real loop looks for input after so many. */
const turnsAtOnce = 64

/**
 * Calls `step` until it answers false or throws, each time in a `setImmediate` of its own: between
 * two of them promises are drained to the last.
 */
export function runTurns(step: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let asked = 0
    let isOver = false
    const turn = (): void => {
      asked--
      if (isOver) return
      try {
        isOver = !step()
      } catch (error) {
        isOver = true
        reject(error)
        return
      }
      if (isOver) resolve()
      else if (asked === 0) ask()
    }
    const ask = (): void => {
      for (; asked < turnsAtOnce; asked++) setImmediate(turn)
    }
    ask()
  })
}
