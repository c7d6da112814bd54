/** `npm run fuzz -- engine or wire [--runs N] [--seed S]`; the last line is one JSON object. */
import { parseArgs } from 'node:util'
import { runEngine } from './engine/run.js'
import { runWire } from './wire/run.js'

const subjects = { engine: runEngine, wire: runWire } as const
const isSubject = (name: string): name is keyof typeof subjects => Object.hasOwn(subjects, name)

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false }
  }
})
const runs = Number(values.runs)
const firstSeed = Number(values.seed)
const [subject = ''] = positionals
const isUsable = positionals.length === 1 && runs >= 1 && Number.isSafeInteger(firstSeed)
if (isUsable && isSubject(subject)) {
  process.exitCode = subjects[subject](runs, firstSeed) ? 0 : 1
} else {
  const names = Object.keys(subjects).join('|')
  process.stderr.write(`usage: npm run fuzz -- ${names} [--runs N] [--seed S]\n`)
  process.exitCode = 2
}
