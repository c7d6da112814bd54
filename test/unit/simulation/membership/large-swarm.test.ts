import t from 'tap'
import { runSwarmWithDeaths } from '../../../support/swarm-with-deaths.js'
import { looksAtAll } from '../../../support/thoroughness.js'

const members = looksAtAll ? 1_000 : 200
const ms = 600_000
const bytesMax = 2 ** 30

t.test(`D-17 ${members} members for ten minutes in one process, three of whom die`, async (t) => {
  t.doesNotThrow(() => runSwarmWithDeaths({ members, seed: 1, ms }))
  const { rss } = process.memoryUsage()
  t.ok(rss < bytesMax, `${Math.round(rss / 2 ** 20)} MiB`)
})
