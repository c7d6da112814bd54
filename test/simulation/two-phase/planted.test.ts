/**
 * Whether the harness of two-phase commit has teeth: three bugs are planted in a copy of what was
 * built, and must be found. `npm run simulate:two-phase-mutants` does so with all of them.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

const script = 'scripts/simulate-two-phase-mutants.mjs'
/** Of names of bugs: what is told, or promised, before the log has it. */
const named = 'is logged'

t.test('T-16 a coordinator that speaks before its log has it is caught', async (t) => {
  const args = [script, '--mutant', named, '--seeds', '3']
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const report = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  t.match(report, { ok: true, mutants: 3, caught: 3 })
})
