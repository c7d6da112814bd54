/**
 * A process of its own, because a pattern that takes too long can only be stopped from outside.
 * Feeds the patterns of its argument, `[source, flags][]` as JSON, and says which it has come to.
 */
import { adversarialTexts, tryPattern } from './adversary.js'

const [, , given = '[]', length = '0'] = process.argv
let fed = 0
for (const [source, flags] of JSON.parse(given) as [string, string][]) {
  const pattern = new RegExp(source, flags)
  process.stdout.write(`${String(pattern)}\n`)
  for (const text of adversarialTexts(pattern, Number(length))) {
    tryPattern(pattern, text)
    fed += text.length
  }
}
process.stdout.write(`fed ${fed}\n`)
