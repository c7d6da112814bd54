import t, { type Test } from 'tap'
import { createAdminServer, tokenOf } from '../../../lib/admin.js'
import { configCommand } from '../../../src/cli/config-command.js'
import { deathsCommand } from '../../../src/cli/deaths-command.js'
import {
  healthCommand,
  renderMatrix,
  renderRoutes,
  renderVerdicts
} from '../../../src/cli/health-command.js'
import { metadataCommand } from '../../../src/cli/metadata-command.js'
import {
  hotspotsCommand,
  renderHotspots,
  strategyCommand
} from '../../../src/cli/routing-commands.js'
import { silentLogger } from '../../../src/core/index.js'
import { skein } from '../../support/run-skein.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { FakeManager } from '../admin/fake-manager.js'

async function serve(t: Test, tokens: string[] = []) {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: tokens.map((text) => tokenOf(text)),
    logger: silentLogger,
    eventSubscribersMax: 2
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const ask = (...args: string[]) => skein(...args, '--admin', `http://${address}`)
  return { manager, address, ask }
}

const verdict = {
  nodeId: 'b',
  status: 'degraded',
  quality: 0.35,
  diagnosis: 'networkSlow',
  since: 1,
  reason: 'loss\u001b[31m'
}
const peer = {
  nodeId: 'b',
  latency: { p50Ms: 1.234, tail: { ms: 20.04, basis: 'max', count: 9 } },
  jitterMs: 0.5,
  loss: { kind: 'measured', sent: 800, lost: 8, rate: 0.01, interval: { low: 0.005, high: 0.02 } },
  throughput: { sentMbps: 1.5, receivedMbps: 0.25, peakMbps: 2 },
  clockOffset: { offsetMs: -0.2, delayMs: 1, errorMs: 0.5 },
  quality: { value: 0.35 },
  diagnosis: { diagnosis: 'networkSlow' }
}
const unmeasured = {
  ...peer,
  nodeId: 'c',
  latency: null,
  jitterMs: null,
  loss: { kind: 'insufficientData', sent: 20, needed: 100 },
  throughput: null,
  clockOffset: null,
  quality: { value: null },
  diagnosis: null
}
const cells = (to: string, rttMs: number | null) => [{ to, rttMs, lossRate: null, ageMs: 1 }]

function measured(manager: FakeManager): void {
  Object.assign(manager.health, {
    peers: () => [peer, unmeasured],
    verdictOn: (nodeId: string) => (nodeId === 'b' ? verdict : null),
    latencyMatrix: () => [
      { origin: 'a', version: 1, cells: [...cells('b', 1.254), ...cells('c', null)] },
      { origin: 'b', version: 1, cells: cells('a', 1.3) }
    ],
    routes: () => [
      {
        target: 'c',
        relay: 'b',
        why: 'outage',
        directMs: Number.POSITIVE_INFINITY,
        viaMs: 2.5,
        expectedImprovement: 1
      }
    ],
    explainVerdicts: () => [{ from: 'healthy', verdict, confirmations: 2 }]
  })
}

t.test('reachability names the part of each way that fails, with status 1', async (t) => {
  const { manager, ask } = await serve(t)
  t.match(await ask('reachability'), { status: 0, stdout: 'there is no other member\n' })
  const heard = { sent: 5, received: 5 }
  const way = { small: heard, full: heard }
  const well = { address: 'b:1', roundTripMs: 1.5, error: null, out: way, back: way }
  const nodes = [
    { nodeId: 'b', finding: 'reachable', ...well },
    {
      nodeId: 'c',
      address: 'c:1',
      finding: 'noStream',
      roundTripMs: null,
      error: { code: 'ERR_SKEIN_TIMEOUT', message: 'no answer', retryable: true },
      out: null,
      back: null
    }
  ]
  const asked: unknown[] = []
  Object.assign(manager.health, {
    reachability: async (ids?: readonly string[]) => {
      asked.push(ids)
      return nodes.filter(({ nodeId }) => ids?.includes(nodeId) ?? true)
    }
  })
  const all = await ask('reachability')
  t.equal(all.status, 1)
  t.match(all.stdout, /^b +b:1 +1\.5 ms +5\/5 5\/5 +5\/5 5\/5 +ok$/m)
  t.match(all.stdout, /^c +c:1 +ERR_SKEIN_TIMEOUT +- +- +no answer over TCP$/m)
  t.match(await ask('reachability', 'b', '--json'), { status: 0, stdout: /"finding":"reachable"/ })
  t.same(asked, [undefined, ['b']])
  t.match(await ask('reachability', 'Bad!'), { status: 1, stderr: /ERR_SKEIN_INVALID_ARGUMENT/ })
})

t.test('health shows what was measured, the matrix as a matrix', async (t) => {
  const { manager, ask } = await serve(t)
  t.match(await ask('health', '--peers'), { status: 0, stdout: 'no peer was measured yet\n' })
  t.equal(renderMatrix({ rows: [] }), 'nothing was measured yet')
  t.equal(renderRoutes({ routes: [] }), 'every path is straight')
  t.equal(renderVerdicts({ records: [] }), 'no verdict has changed')
  measured(manager)
  const peers = (await ask('health', '--peers')).stdout.split('\n')
  t.match(peers[0], /^peer +p50 +slow end +jitter +loss +Mbit\/s out\/in +clock +quality +verdict/)
  const row =
    /^b +1\.23 ms +20 ms \(max\) +0\.5 ms +1 % \(0\.5–2\) +1\.5\/0\.25 +-0\.2±0\.5 ms +0\.35 +degr/
  t.match(peers[1], row)
  t.match(peers[2], /^c +- +- +- +too few \(20\/100\) +- +- +- +unknown +-$/)
  t.equal(
    (await ask('health', '--matrix')).stdout,
    'ms  a    b     c\na   .    1.25  out\nb   1.3  .     -\nc   -    -     .\n'
  )
  t.match((await ask('health', '--routes')).stdout, /\nc +b +outage +out +2\.5 ms +100 %\n/)
  const verdicts = (await ask('health', '--verdicts')).stdout
  t.match(verdicts, /\nb +healthy -> degraded +networkSlow +0\.35 +2 +loss\\x1b\[31m\n/, 'X-45')
  t.match(JSON.parse((await ask('health', '--matrix', '--json')).stdout), {
    rows: [{ origin: 'a' }, { origin: 'b' }]
  })
  t.match(await ask('health', '--peers', '--matrix'), { status: 2, stderr: /cannot be used with/ })
})

t.test('strategy lists and changes, and says what there is', async (t) => {
  const { manager, ask } = await serve(t)
  const listed = await ask('strategy')
  t.match(listed, { status: 0, stdout: /^\* adaptive\n {2}random\n\nnot asked +for/ })
  t.match(listed.stdout, /\nb +4\.0 s +1 +5 failures\n/)
  t.match(await ask('strategy', 'random'), {
    status: 0,
    stdout: 'random from now on, adaptive before\n'
  })
  t.match(manager.asked, [{ call: 'setRoutingStrategy', query: 'random' }])
  t.match(await ask('strategy', 'magic'), { status: 1, stderr: /must be one of adaptive, random/ })
  t.match(JSON.parse((await ask('strategy', '--json')).stdout), {
    strategies: ['adaptive', 'random']
  })
})

t.test('hotspots and deaths are told', async (t) => {
  const { ask } = await serve(t)
  const hotspots = await ask('hotspots')
  t.match(hotspots.stdout, /\nkey +k +1200 +1100 +b \(1200\)\n/)
  t.match(hotspots.stdout, /\nb +1300 +1250 +100 +k \(1200\)\n/)
  const quiet = renderHotspots({ current: [], loads: [] })
  t.equal(quiet, 'nothing is hot\n\nno node is busy')
  const death = await ask('deaths', 'b')
  t.match(death.stdout, /^b \(incarnation 2\): dead 0\.1 s ago, its suspicion ran out here\n/)
  t.match(death.stdout, /suspected 1\.1 s ago by a, confirmed by c\n/)
  t.match(death.stdout, /\n1\.2 s ago +unanswered +-\n/)
  t.match(await ask('deaths', 'nobody'), {
    status: 1,
    stderr: /ERR_SKEIN_NOT_FOUND: no verdict on/
  })
})

t.test('metadata is set, shown and deleted', async (t) => {
  const { ask } = await serve(t)
  t.match(await ask('metadata', 'set', 'a/b c', 'x y'), {
    status: 0,
    stdout: 'a/b c = x y, version 2\n'
  })
  t.match((await ask('metadata', 'get')).stdout, /\na +zone +z1 +1\na +a\/b c +x y +2\n/)
  t.match(await ask('metadata', 'get', 'nobody'), { status: 1, stderr: /no member has the id/ })
  t.match(await ask('metadata', 'delete', 'a/b c'), { status: 0, stdout: 'deleted\n' })
})

t.test('config is shown and changed, all or nothing', async (t) => {
  const { manager, ask } = await serve(t)
  const all = (await ask('config', 'get')).stdout
  t.match(all, /^routing\.strategy \* +adaptive$/m)
  t.match(all, /^routing\.executionsMax +1024$/m)
  t.equal((await ask('config', 'get', 'node.id')).stdout, 'node.id  a\n')
  t.match(await ask('config', 'get', 'magic'), { status: 2, stderr: /no section or field/ })
  const set = ['routing.retriesMax=3', 'routing.queryTimeoutMs=2000']
  t.match(await ask('config', 'set', ...set), {
    status: 0,
    stdout: 'routing.retriesMax *  3\nrouting.queryTimeoutMs *  2000\n'
  })
  t.match(manager.asked, [{ options: { retriesMax: 3, queryTimeoutMs: 2_000 } }])
  const refused = await ask('config', 'set', 'routing.retriesMax=x', 'node.id=z')
  t.match(refused, { status: 1, stderr: /routing\.retriesMax: [\s\S]*|node\.id: cannot change/ })
  t.match(refused.stderr, /node\.id: cannot change while the node runs/)
  t.match(refused.stderr, /routing\.retriesMax: /)
  t.match(await ask('config', 'set', 'retriesMax=3'), { status: 2, stderr: /SECTION\.FIELD=VALUE/ })
})

t.test('each command explains itself, and says what to do when it may not', async (t) => {
  const directory = await temporaryDirectory(t)
  const { ask } = await serve(t, ['secret'])
  const output = { line: () => {}, note: () => {} }
  const made = [
    healthCommand(output),
    strategyCommand(output),
    hotspotsCommand(output),
    deathsCommand(output),
    ...metadataCommand(output).commands,
    ...configCommand(output).commands
  ]
  t.equal(made.length, 9)
  for (const command of made) {
    t.not(command.description(), '')
    t.match(command.helpInformation(), /Usage: [\s\S]*--admin <url>[\s\S]*--json/, command.name())
  }
  t.match(await ask('config', 'get'), { status: 1, stderr: /UNAUTHENTICATED.*--token-file/ })
  t.match(await ask('hotspots', '--token-file', `${directory}/none`), { status: 2 })
  t.match(await skein('strategy', '--admin', 'http://127.0.0.1:1'), {
    status: 1,
    stderr: /no node answers at http:\/\/127\.0\.0\.1:1 .*--admin URL/
  })
})
