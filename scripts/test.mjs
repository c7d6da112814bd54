// Runs tap and ends with the one line `N passed, N failed`; tap's exit status passes through.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const args = ['run', '--reporter=tap', '--disable-coverage', ...process.argv.slice(2)]
const child = spawn('tap', args, { stdio: ['inherit', 'pipe', 'inherit'] })
const closed = new Promise((resolve, reject) => {
  child.once('error', reject)
  child.once('close', resolve)
})
let counts = {}
for await (const line of createInterface({ input: child.stdout })) {
  if (!/^\s+ok \d+/.test(line)) console.log(line)
  const summary = /^# \{ (total: .*) \}$/.exec(line)
  if (summary) counts = Object.fromEntries(summary[1].split(', ').map((kv) => kv.split(': ')))
}
const code = await closed
const skipped = Number(counts.skip ?? 0) + Number(counts.todo ?? 0)
const passed = Number(counts.pass ?? 0)
if (passed === 0) console.error('tap reported no passed test')
console.log(`${passed} passed, ${counts.fail ?? 0} failed${skipped ? `, ${skipped} skipped` : ''}`)
process.exitCode = code || (passed === 0 ? 1 : 0)
