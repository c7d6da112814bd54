/**
 * `npm run netns [-- --seconds N] [--json]`: five real nodes, each in a network namespace of its
 * own, under a cut link, loss, one-way cuts and a partition. The last line of stdout is one JSON
 * object.
 */
import { parseArgs } from 'node:util'
import { NamespaceCluster } from './namespace-cluster.js'
import { namespacesRefused } from './namespaces.js'
import { detour, type Figures, loss, oneWay, partition, reachability } from './scenarios.js'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, json: { type: 'boolean', default: false } }
})
const seconds = Number(values.seconds)
const refused = await namespacesRefused()
if (refused !== null) {
  process.stderr.write(`network namespaces are not permitted here: ${refused}\n`)
  process.stdout.write(`${JSON.stringify({ ok: false, skipped: refused })}\n`)
  process.exitCode = 1
} else {
  const results = await runAll()
  const ok = Object.values(results).every((figures) => figures.ok === true)
  process.stdout.write(`${JSON.stringify({ ok, ...results })}\n`)
  process.exitCode = ok ? 0 : 1
}

async function runAll(): Promise<Record<string, Figures>> {
  const cluster = await NamespaceCluster.start(5)
  const results: Record<string, Figures> = {}
  const scenarios: readonly (readonly [string, () => Promise<Figures>])[] = [
    ['detour', () => detour(cluster)],
    ['reachability', () => reachability(cluster)],
    ['loss_10', () => loss(cluster, 10, seconds)],
    ['loss_20', () => loss(cluster, 20, seconds)],
    ['loss_30', () => loss(cluster, 30, seconds)],
    ['one_way', () => oneWay(cluster, seconds / 2)],
    ['partition', () => partition(cluster, seconds / 4)]
  ]
  try {
    for (const [name, play] of scenarios) {
      process.stderr.write(`netns: ${name}\n`)
      try {
        results[name] = await play()
      } catch (error) {
        results[name] = { ok: false, error: (error as Error).message }
        await cluster.namespaces.heal()
        await cluster.whole(60_000)
      }
      process.stderr.write(`netns: ${name}: ${JSON.stringify(results[name])}\n`)
    }
  } finally {
    await cluster.stop()
  }
  return results
}
