// Puts compiled modules together into what is published and started: `bundle.mjs FROM TO`. A node
// loads a few dozen files instead of hundreds, and starts in half the time. Each module is in one
// file only, so that what `skein` and `skein/sqlite` export has the same classes; dependencies stay
// outside. All files lie in one folder: modules find their threads' entries beside themselves.
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'esbuild'

const [from, to] = process.argv.slice(2)
if (from === undefined || to === undefined) throw new Error('usage: bundle.mjs FROM TO')

const entries = [
  'lib/index',
  'lib/sqlite',
  'lib/client',
  'lib/admin',
  'lib/testing',
  'src/cli/main',
  'src/cli/simulate-membership-main',
  'src/cli/simulate-worker',
  'src/engine/sqlite/host-worker',
  'src/engine/sqlite/orphan-guard-worker',
  'src/health/health-worker',
  'src/runtime/task-thread'
]

mkdirSync(to, { recursive: true })
for (const name of readdirSync(to)) if (/\.js(\.map)?$/.test(name)) rmSync(join(to, name))
await build({
  entryPoints: Object.fromEntries(
    entries.map((entry) => [basename(entry), join(from, `${entry}.js`)])
  ),
  outdir: to,
  bundle: true,
  splitting: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning'
})
