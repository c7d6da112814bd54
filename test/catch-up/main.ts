/**
 * `npm run catch-up [-- --bytes N --data-bytes N --interruptions N]`: a new node catches up by
 * snapshot while so many bytes are written over, and is killed so many times on its way. The last
 * line of stdout is one JSON object; what happens is told on stderr.
 */
import { parseArgs } from 'node:util'
import { catchUp } from './catch-up.js'

const usage = 'npm run catch-up [-- --bytes N] [--data-bytes N] [--interruptions N]'
/** By default all data are written over so many times. */
const overwritings = 4
const bytesMin = 1 << 20

const { values } = parseArgs({
  options: {
    bytes: { type: 'string', default: String(2 ** 30) },
    'data-bytes': { type: 'string' },
    interruptions: { type: 'string', default: '5' }
  }
})
const bytes = Number(values.bytes)
const dataBytes = Number(values['data-bytes'] ?? bytes / overwritings)
const interruptions = Number(values.interruptions)
const isCount = (value: number, min: number) => Number.isSafeInteger(value) && value >= min

const teardowns: (() => unknown)[] = []
const owner = { teardown: (handler: () => unknown) => void teardowns.unshift(handler) }
const release = async () => {
  for (const teardown of teardowns.splice(0)) await teardown()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void release().finally(() => process.exit(1)))
}
const tell = (line: string): void => void process.stderr.write(`catch-up: ${line}\n`)

const isUsable = isCount(bytes, bytesMin) && isCount(dataBytes, bytesMin)
if (isUsable && isCount(interruptions, 0)) await run()
else {
  process.stderr.write(`--bytes and --data-bytes are at least ${bytesMin}\n${usage}\n`)
  process.exitCode = 2
}

async function run(): Promise<void> {
  try {
    const report = await catchUp(owner, { bytes, dataBytes, interruptions }, tell)
    process.stdout.write(`${JSON.stringify(report)}\n`)
    process.exitCode = report.ok ? 0 : 1
  } catch (error) {
    process.stderr.write(`${(error as Error).stack}\n`)
    process.stdout.write(`${JSON.stringify({ ok: false, error: (error as Error).message })}\n`)
    process.exitCode = 1
  } finally {
    await release()
  }
}
