/** `npm run bench -- NAME [--json]`: runs `bench/NAME`; `--json` leaves out the table. */
import { existsSync, readdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Bench, type BenchReport, reportOf } from './report.js'

const folder = new URL('.', import.meta.url)
const helpers = ['run', 'report']

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean', default: false } },
  allowPositionals: true
})
const name = positionals[0] ?? ''
if (positionals.length !== 1 || helpers.includes(name) || !isBench(name)) {
  process.stderr.write(`usage: npm run bench -- NAME [--json]; NAME is one of ${names()}\n`)
  process.exitCode = 2
} else {
  const { run } = (await import(new URL(`${name}.js`, folder).href)) as { run: Bench }
  const report = reportOf(name, await run((line) => process.stderr.write(`${line}\n`)))
  if (!values.json) process.stdout.write(tableOf(report))
  process.stdout.write(`${JSON.stringify(report)}\n`)
}

function isBench(candidate: string): boolean {
  return /^[a-z-]+$/.test(candidate) && existsSync(new URL(`${candidate}.js`, folder))
}

function names(): string {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.js'))
    .map((file) => file.slice(0, -'.js'.length))
    .filter((file) => !helpers.includes(file))
    .join(', ')
}

function tableOf({ rows, ratios }: BenchReport): string {
  const caseWidth = 2 + Math.max(26, ...rows.map((row) => row.case.length))
  const subjectWidth = 2 + Math.max(10, ...rows.map(({ subject }) => subject.length))
  const lines = rows.map((row) => {
    const value = `${String(row.value).padStart(12)} ${row.unit}`
    const spread = `(±${Math.round(row.spread * 50)} %)`
    const cpu = row.cpu_us === undefined ? '' : `  CPU ${row.cpu_us} µs`
    const name = `${row.case.padEnd(caseWidth)}${row.subject.padEnd(subjectWidth)}`
    return `${name}${value}  ${spread}${cpu}`
  })
  const compared = Object.entries(ratios).map(([key, ratio]) => `${key.padEnd(60)}${ratio} ×`)
  return `${[...lines, '', ...compared].join('\n')}\n`
}
