// tsc never removes the output of a deleted source, so a deleted test would go on running.
import { rmSync } from 'node:fs'

for (const folder of process.argv.slice(2)) rmSync(folder, { recursive: true, force: true })
