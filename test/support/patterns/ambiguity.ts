/**
 * Whether matching with backtracking takes more than linear time on some text.
 *
 * A matcher visits the states on its way to the first match, once per character, and whatever it
 * tried in vain beside that way. What was tried in vain never stood where the pattern had matched
 * already, so it lies in the states that do not accept, N. Hence the time is more than linear only
 * if there are states p, q and a text v with p -v-> p, p -v-> q and q -v-> q, the last within N: v
 * repeated k times is then read in k ways (Weber and Seidl, "On the degree of ambiguity of finite
 * automata", 1991). A pair of states that are joined in two ways within a cycle of N is the
 * exponential case that positions alone do not show: `(a*)*b`. The states before the pattern, which
 * read any text, are such p as well: `a+$` is quadratic because a search begins anew at each `a`.
 *
 * It errs towards refusing: conditions (`$`, lookahead, counts) are taken for sometimes false.
 */
import { type Automaton, automatonOf, type Ranges } from './parse.js'

export interface Ambiguity {
  /** Repeated, it takes more than linear time, if something wrong follows. */
  readonly pump: string
}

export function ambiguityOf(pattern: RegExp): Ambiguity | null {
  const automaton = automatonOf(pattern)
  const letters = lettersOf(automaton)
  const inVain = (state: number) => !automaton.accepts.has(state)
  const next = stepsOf(automaton, letters)
  const cyclic = automaton.follow.map((_, state) => pathBetween(next, state, state))
  for (const [p, follow] of automaton.follow.entries()) {
    for (const q of new Set(follow.filter((to, i) => follow.indexOf(to) !== i))) {
      const back = inVain(p) && inVain(q) ? pathBetween(next, q, p, inVain) : null
      if (back !== null) return { pump: `${letterOf(automaton, letters, q)}${back}` }
    }
  }
  for (const [p] of automaton.follow.entries()) {
    if (cyclic[p] === null) continue
    for (const [q] of automaton.follow.entries()) {
      if (p === q || !inVain(q) || cyclic[q] === null) continue
      const pump = pumpOf(next, p, q, inVain)
      if (pump !== null) return { pump }
    }
  }
  return null
}

/** One character of each set that no class of the pattern divides. */
export function lettersOf({ classes }: Automaton): readonly string[] {
  const cuts = new Set([0])
  for (const [low, high] of classes.flat()) cuts.add(low).add(high + 1)
  return [...cuts].filter((code) => code <= 0xffff).map((code) => String.fromCharCode(code))
}

const has = (ranges: Ranges, letter: string): boolean =>
  ranges.some(([low, high]) => letter.charCodeAt(0) >= low && letter.charCodeAt(0) <= high)

const letterOf = ({ classes }: Automaton, letters: readonly string[], state: number): string =>
  letters.find((letter) => has(classes[state] ?? [], letter)) ?? ''

/** By state, the letter and the state that it leads to. */
export type Steps = readonly (readonly (readonly [letter: string, to: number])[])[]

export const stepsOf = ({ classes, follow }: Automaton, letters: readonly string[]): Steps =>
  follow.map((states) =>
    [...new Set(states)].flatMap((to) =>
      letters
        .filter((letter) => has(classes[to] ?? [], letter))
        .map((letter) => [letter, to] as const)
    )
  )

/** The shortest text of at least one letter; null: there is none. */
export function pathBetween(
  steps: Steps,
  from: number,
  to: number,
  isAllowed: (state: number) => boolean = () => true
): string | null {
  const seen = new Set<number>()
  let edge: [number, string][] = [[from, '']]
  while (edge.length > 0) {
    const wider: [number, string][] = []
    for (const [state, text] of edge) {
      for (const [letter, next] of steps[state] ?? []) {
        if (seen.has(next) || !isAllowed(next)) continue
        if (next === to) return text + letter
        seen.add(next)
        wider.push([next, text + letter])
      }
    }
    edge = wider
  }
  return null
}

/** v with p -v-> p, p -v-> q, q -v-> q, the last of them in allowed states. */
function pumpOf(
  steps: Steps,
  p: number,
  q: number,
  isAllowed: (state: number) => boolean
): string | null {
  const seen = new Set<string>()
  let edge: [number, number, number, string][] = [[p, p, q, '']]
  while (edge.length > 0) {
    const wider: [number, number, number, string][] = []
    for (const [a, b, c, text] of edge) {
      for (const [letter, c2] of steps[c] ?? []) {
        if (!isAllowed(c2)) continue
        for (const [, a2] of along(steps, a, letter)) {
          for (const [, b2] of along(steps, b, letter)) {
            const key = `${a2} ${b2} ${c2}`
            if (seen.has(key)) continue
            seen.add(key)
            if (a2 === p && b2 === q && c2 === q) return text + letter
            wider.push([a2, b2, c2, text + letter])
          }
        }
      }
    }
    edge = wider
  }
  return null
}

const along = (steps: Steps, state: number, letter: string) =>
  (steps[state] ?? []).filter(([one]) => one === letter)
