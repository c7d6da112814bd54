import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { metricCatalogue } from '../../src/admin/metrics/catalogue.js'
import { ProcessCluster } from '../support/process-cluster.js'

const isThere = spawnSync('promtool', ['--version']).status === 0
const skip = isThere
  ? false
  : 'promtool is not on the path (the package prometheus of Debian has it)'
const rulesFile = 'deploy/prometheus/skein.rules.yml'
const testFile = 'deploy/prometheus/skein.rules.test.yml'

async function promtool(args: readonly string[], input = '') {
  const child = spawn('promtool', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += chunk
    })
  }
  child.stdin.end(input)
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { status, said }
}

t.test('what a real node exposes', async (t) => {
  const cluster = await ProcessCluster.start(t, 1)
  const [id = ''] = cluster.ids
  const { url } = cluster.admin(id)
  const headers = { authorization: `Bearer ${cluster.workspace.token}` }
  const page = await (await fetch(`${url}/metrics`, { headers })).text()
  const exposed = new Set([...page.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))

  t.test('passes promtool check metrics', { skip }, async (t) => {
    t.same(await promtool(['check', 'metrics'], page), { status: 0, said: '' })
  })

  t.test('is described, and everything described is there', async (t) => {
    const told: Readonly<Record<string, object>> = await cluster.metrics(id)
    t.same(Object.keys(told).sort(), Object.keys(metricCatalogue).sort())
    for (const [category, family] of Object.entries(metricCatalogue)) {
      t.same(Object.keys(told[category] ?? {}).sort(), Object.keys(family).sort(), category)
    }
  })

  t.test('is what alerts and board ask for', async (t) => {
    for (const file of [rulesFile, 'deploy/grafana/skein.json']) {
      const text = readFileSync(file, 'utf8')
      const asked = new Set([...text.matchAll(/\bskein_[a-z0-9_]+/g)].map(([name]) => name))
      t.ok(asked.size > 10, file)
      t.same(
        [...asked].filter((name) => !exposed.has(name)),
        [],
        file
      )
    }
  })
})

t.test('the alert rules pass promtool check rules, and their tests', { skip }, async (t) => {
  t.match(await promtool(['check', 'rules', rulesFile]), { status: 0, said: /SUCCESS/ })
  t.match(await promtool(['test', 'rules', testFile]), { status: 0, said: /SUCCESS/ })
})
