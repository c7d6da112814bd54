import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import type { SwarmRun } from '../../../support/swarm-with-deaths.js'
import { looksAtAll } from '../../../support/thoroughness.js'

const members = looksAtAll ? 1_000 : 100
/** Together less than a gibibyte; a thread that needs more ends with an error. */
const resourceLimits = { maxOldGenerationSizeMb: 900, maxYoungGenerationSizeMb: 64 }

t.test(`D-17 ${members} members for ten minutes in one process, three of whom die`, async (t) => {
  const workerData: SwarmRun = { members, seed: 1, ms: 600_000 }
  const worker = new Worker(new URL('../../../support/swarm-worker.js', import.meta.url), {
    workerData,
    resourceLimits
  })
  const [exitCode] = await once(worker, 'exit')
  t.equal(exitCode, 0)
})
