/** Long texts that nearly match a pattern, made from its automaton. */
import { lettersOf, pathBetween, stepsOf } from './ambiguity.js'
import { automatonOf } from './parse.js'

/** For each loop of the pattern: into it, round and round, and out by what does not fit. */
export function* adversarialTexts(pattern: RegExp, length: number): Generator<string> {
  const automaton = automatonOf(pattern)
  const letters = lettersOf(automaton)
  const steps = stepsOf(automaton, letters)
  const fill = (text: string) => text.repeat(Math.ceil(length / text.length)).slice(0, length)
  const units = new Set<string>()
  for (const [state] of automaton.follow.entries()) {
    const way = pathBetween(steps, automaton.start, state)
    if (way === null) continue
    const round = pathBetween(steps, state, state)
    units.add(way)
    if (round !== null) {
      const wrong = letters.find((letter) => steps[state]?.every(([one]) => one !== letter))
      yield way + fill(round)
      yield `${way}${fill(round)}${wrong ?? '\0'}`
      units.add(way + round)
    }
  }
  for (const unit of units) yield `${fill(unit)}\0`
  yield fill('\n')
}

/** As the product uses it: all matches of a global pattern, one of any other. */
export function tryPattern(pattern: RegExp, text: string): void {
  if (pattern.global) text.match(pattern)
  else pattern.test(text)
  pattern.lastIndex = 0
}
