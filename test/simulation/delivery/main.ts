/** `npm run simulate:delivery -- [--stride N]`: connections broken at every byte. */
import { parseArgs } from 'node:util'
import { type Sweep, sweeps } from './sweep.js'

const { values } = parseArgs({ options: { stride: { type: 'string', default: '1' } } })
const stride = Number(values.stride)
if (!Number.isSafeInteger(stride) || stride < 1) {
  console.error(`--stride must be a whole number from 1, not '${values.stride}'`)
  process.exit(2)
}
const startedAt = performance.now()
const rows: Sweep[] = []
for await (const row of sweeps(stride)) {
  rows.push(row)
  const { what, reliability, direction, exchanges, faults } = row
  const seconds = Math.round((performance.now() - startedAt) / 1_000)
  const counts = `${exchanges} exchanges, ${faults.length} faults`
  const told = `${what} ${reliability} ${direction}: ${counts}`
  console.error(`${told} (${seconds} s)`)
  for (const fault of faults.slice(0, 5)) console.error(`  ${fault}`)
}
const ok = rows.every(({ faults }) => faults.length === 0)
const exchanges = rows.reduce((sum, row) => sum + row.exchanges, 0)
const wall_seconds = Math.round((performance.now() - startedAt) / 1_000)
console.log(JSON.stringify({ ok, exchanges, stride, wall_seconds, rows }))
process.exitCode = ok ? 0 : 1
