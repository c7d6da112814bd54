import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readConfig } from '../../../src/cli/config-file.js'
import {
  accountCount,
  drawTransfer,
  loadBatches,
  transferStatements
} from '../../../src/cli/demo/bank.js'
import { ElectionCount } from '../../../src/cli/demo/election-count.js'
import { describeEvent, frame, renderLive } from '../../../src/cli/demo/live-view.js'
import { perSync } from '../../../src/cli/demo/once.js'
import { demoDefaults, parseDemoOptions } from '../../../src/cli/demo/options.js'
import { choosePorts } from '../../../src/cli/demo/ports.js'
import { type DemoReport, finishReport } from '../../../src/cli/demo/report.js'
import { finishRollingReport, type RollingFacts } from '../../../src/cli/demo/rolling-report.js'
import { haveDiverged, leaderAmong, type NodeView } from '../../../src/cli/demo/supervisor.js'
import { Tally } from '../../../src/cli/demo/tally.js'
import { judgeHistory } from '../../../src/cli/demo/verify.js'
import {
  openWorkspace,
  writeEnvironment,
  writeNodeConfig
} from '../../../src/cli/demo/workspace.js'
import {
  DEFAULT_GROUP,
  must,
  type RaftRole,
  SplittableRandom,
  type Term,
  toGroupId,
  type WallMs
} from '../../../src/core/index.js'
import { readTlsMaterial } from '../../../src/runtime/index.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const options = (given: object = {}) => parseDemoOptions({ ...demoDefaults, ...given })
const unusable = { name: 'CliError', message: /cannot be used|was made for/ }

t.test('options have defaults, and wrong ones are named', async (t) => {
  t.match(options(), { once: false, seconds: 20, nodes: 3, scale: 1, port: 0, dataDirectory: null })
  t.match(options({ rollingRestart: true }), { once: false, nodes: 5, sessions: 200 })
  for (const given of [
    { seconds: '0' },
    { seconds: '1e3' },
    { nodes: 'three' },
    { nodes: '8' },
    { once: true, nodes: '2' },
    { rollingRestart: true, nodes: '2' },
    { rollingRestart: true, once: true },
    { sessions: '0' },
    { port: '80' },
    { port: '65534' },
    { scale: '-1' },
    { seed: '1.5' }
  ]) {
    const code = 'ERR_SKEIN_INVALID_ARGUMENT'
    t.throws(() => options(given), { code, field: /^--/ }, JSON.stringify(given))
  }
})

t.test('the load covers every account once, each with its branch', async (t) => {
  const accounts = [...loadBatches(2)].flatMap(({ bid, statements }) =>
    statements.map(({ sql }) => ({ bid, sql })).filter(({ sql }) => sql.includes('accounts'))
  )
  let next = 1
  for (const { bid, sql } of accounts) {
    const [, from, to] = /SELECT (\d+) UNION ALL .* i < (\d+)\)/.exec(sql) ?? []
    t.equal(Number(from), next)
    t.match(sql, `SELECT i, ${bid}, 0`)
    t.equal(bid, Math.ceil(next / 1_000))
    next = Number(to) + 1
  }
  t.equal(next, accountCount(2) + 1)
})

t.test('a transfer stays within the scale and its rows’ branches', async (t) => {
  const random = SplittableRandom.fromSeed(7)
  for (let i = 0; i < 2_000; i++) {
    const { aid, accountBid, tid, bid, delta } = drawTransfer(random, 3)
    t.ok(aid >= 1 && aid <= 300_000 && tid >= 1 && tid <= 3_000 && Math.abs(delta) <= 5_000)
    t.equal(bid, Math.ceil(tid / 10))
    t.equal(accountBid, Math.ceil(aid / 1_000))
  }
  const transfer = { aid: 1, accountBid: 1, tid: 12, bid: 2, delta: -3 }
  const statements = transferStatements(transfer, 'c', 9, 'now')
  const { params } = must(statements.at(-1), 'history')
  t.same((params as readonly unknown[]).slice(1), ['c', 9, 12, 2, 1, -3, 'now'])
})

t.test('history is judged by what the client was told, and has sent', async (t) => {
  const record = {
    client: 'c',
    lastSerial: 6,
    indeterminate: new Set([2, 3]),
    failed: new Set([4])
  }
  const row = (serial: number) => ({ serial, tid: 1, bid: 1, aid: 7, delta: serial })
  const sent = [1, 2, 3, 4, 5, 6].map((serial) => ({ ...row(serial), accountBid: 1 }))
  t.same(judgeHistory(record, [1, 2, 5, 6].map(row), sent), {
    lost: 0,
    indeterminateDone: 1,
    unexpected: 0,
    repeated: 0,
    altered: 0
  })
  t.same(judgeHistory(record, [1, 4, 7, 1, 1].map(row), sent), {
    lost: 2,
    indeterminateDone: 0,
    unexpected: 2,
    repeated: 2,
    altered: 0
  })
  const altered = [row(1), { ...row(2), delta: 3 }, { ...row(5), aid: 8 }, row(6)]
  t.match(judgeHistory(record, altered, sent), { lost: 0, altered: 2 })
  t.match(judgeHistory(record, altered), { lost: 0, altered: 0 })
})

t.test('unavailability ends with the first write that began after the kill', async (t) => {
  const tally = new Tally()
  const record = tally.addClient('c')
  tally.onWriteAcknowledged(0, 10)
  t.equal(tally.unavailableMs(), null)
  tally.onLeaderKilled(100)
  tally.onWriteAcknowledged(99, 120)
  t.equal(tally.unavailableMs(), null, 'it began before')
  tally.onWriteAcknowledged(130, 700)
  tally.onWriteAcknowledged(140, 900)
  t.equal(tally.unavailableMs(), 600)
  t.ok(tally.onWriteIndeterminate(record, 1, 'reset'))
  t.ok(tally.onWriteFailed(record, 2, 'reset'))
  tally.onReadAnswered()
  tally.onReadFailed('late')
  t.same(tally.figures, {
    writes: 4,
    distributed: 0,
    reads: 1,
    writesIndeterminate: 1,
    writeErrors: 1,
    readErrors: 1
  })
  t.same(
    [...tally.reasons],
    [
      ['reset', 2],
      ['late', 1]
    ]
  )
  t.ok(Math.abs(tally.writeLatencyMs(99) - 760) < 1)
})

t.test('unavailability ends when every group that was led there is written to', async (t) => {
  const tally = new Tally()
  tally.onLeaderKilled(100, [toGroupId(1), toGroupId(3)])
  tally.onWriteAcknowledged(110, 120, [toGroupId(2)])
  tally.onWriteAcknowledged(110, 300, [toGroupId(2), toGroupId(3)])
  tally.onWriteAcknowledged(99, 310, [toGroupId(1)])
  t.equal(tally.unavailableMs(), null)
  tally.onWriteAcknowledged(120, 400, [toGroupId(1)])
  tally.onWriteAcknowledged(120, 500, [toGroupId(1)])
  t.equal(tally.unavailableMs(), 300)
  t.equal(tally.figures.distributed, 1)
})

const good: Omit<DemoReport, 'ok' | 'reasons'> = {
  nodes: 3,
  groups: 4,
  seconds: 20,
  writes_acknowledged: 10,
  distributed_transactions: 7,
  in_doubt: 0,
  writes_lost: 0,
  writes_indeterminate: 0,
  writes_indeterminate_done: 0,
  writes_unexpected: 0,
  writes_repeated: 0,
  writes_altered: 0,
  write_errors: 0,
  reads: 10,
  read_errors: 0,
  client_errors: 0,
  writes_per_second: 1,
  reads_per_second: 1,
  write_p50_ms: 1,
  write_p99_ms: 1,
  killed: 'n1',
  killed_was_leader: true,
  killed_led: [1, 3],
  unavailable_ms: 400,
  new_leader: 'n2',
  rejoined_ms: 500,
  sessions_orphaned: 6,
  sessions_reattached: 6,
  balances_consistent: true,
  replicas_identical: true,
  writes_per_fsync: null,
  failures: {}
}

t.test('the report is ok only when everything is', async (t) => {
  t.same(finishReport(good).reasons, [])
  t.equal(finishReport(good).ok, true)
  const faults: readonly Partial<DemoReport>[] = [
    { writes_acknowledged: 0 },
    { writes_lost: 1 },
    { writes_unexpected: 1 },
    { writes_repeated: 1 },
    { writes_altered: 1 },
    { client_errors: 1 },
    { reads: 0 },
    { groups: 1 },
    { distributed_transactions: 0 },
    { in_doubt: 1 },
    { in_doubt: null },
    { sessions_reattached: 5 },
    { sessions_orphaned: 0, sessions_reattached: 0 },
    { killed_was_leader: false },
    { unavailable_ms: null },
    { new_leader: null },
    { rejoined_ms: null },
    { balances_consistent: false },
    { replicas_identical: false }
  ]
  for (const fault of faults) {
    const report = finishReport({ ...good, ...fault })
    t.equal(report.ok, false, JSON.stringify(fault))
    t.equal(report.reasons.length, 1)
  }
})

const smooth: RollingFacts = {
  nodes: 2,
  sessions: 4,
  seconds: 9,
  plan: 'p',
  plan_status: 'finished',
  plan_reason: 'every node has been restarted',
  restarted: ['n2', 'n1'],
  leaders_moved: 2,
  writes_acknowledged: 3,
  writes_lost: 0,
  writes_unexpected: 0,
  writes_repeated: 0,
  reads: 3,
  client_errors: 0,
  sessions_moved: 4,
  sessions_reattached: 0,
  sessions_refused: 0,
  sessions_lost: 0,
  longest_pause_ms: 40,
  elections_by_timeout: 0,
  write_p50_ms: 1,
  write_p99_ms: 1,
  balances_consistent: true,
  replicas_identical: true,
  failures: {}
}

t.test('a rolling restart is ok only when nobody saw it', async (t) => {
  t.match(finishRollingReport(smooth), { ok: true, reasons: [] })
  const faults: readonly Partial<RollingFacts>[] = [
    { plan_status: 'halted', plan_reason: 'n2 is not alive' },
    { restarted: ['n1'] },
    { restarted: ['n1', 'n2', 'n1'] },
    { writes_acknowledged: 0 },
    { reads: 0 },
    { client_errors: 1 },
    { sessions_lost: 1 },
    { sessions_moved: 0 },
    { elections_by_timeout: 1 },
    { writes_lost: 1 },
    { writes_unexpected: 1 },
    { writes_repeated: 1 },
    { balances_consistent: false },
    { replicas_identical: false }
  ]
  for (const fault of faults) {
    const report = finishRollingReport({ ...smooth, ...fault })
    t.equal(report.ok, false, JSON.stringify(fault))
    t.equal(report.reasons.length, 1)
  }
})

t.test('an election counts that no leader asked for', async (t) => {
  const elections = new ElectionCount()
  const tell = (role: RaftRole, reason: string) =>
    elections.onEvent({
      type: 'RoleChanged',
      group: DEFAULT_GROUP,
      term: 3 as Term,
      role,
      reason,
      sequence: 1,
      wallTime: 0 as WallMs
    })
  tell('candidate', 'leadershipTransferred')
  tell('preCandidate', 'leaderSilent')
  tell('leader', 'voteWon')
  t.equal(elections.byTimeout, 0)
  tell('candidate', 'preVoteWon')
  t.equal(elections.byTimeout, 1)
  elections.reset()
  t.equal(elections.byTimeout, 0)
})

t.test('writes per fsync need two samples of a node', async (t) => {
  const sample = (writes: number, syncs: Readonly<Record<string, number>>) => ({
    writes,
    syncs: new Map(Object.entries(syncs))
  })
  t.equal(perSync([sample(10, { a: 5 }), sample(110, { a: 30 })]), 4)
  t.equal(perSync([sample(10, { a: 5 }), sample(110, { b: 30 })]), null)
  t.equal(perSync([sample(10, { a: 5 }), sample(10, { a: 5 })]), null)
  t.equal(perSync([sample(1, { a: 1 })]), null)
  t.equal(perSync([sample(0, { a: 0, b: 10 }), sample(60, { a: 20, b: 20 })]), 4, 'on average')
  const both = [
    sample(0, { a: 0, b: 0 }),
    sample(60, { a: 20, b: 20 }),
    sample(90, { b: 30 }),
    sample(120, { a: 5, b: 40 }),
    sample(130, { b: 44 })
  ]
  t.equal(perSync(both)?.toFixed(2), '2.95', 'a restarted node counts from nothing')
})

const view = (id: string, role: string, term: number): NodeView =>
  ({
    id,
    view: { members: [{ liveness: 'alive' }], groups: [{ group: 0, role, term, appliedIndex: 9 }] }
  }) as unknown as NodeView

t.test('the leader is the one of the highest term', async (t) => {
  t.equal(leaderAmong([view('a', 'follower', 3), { id: 'b', view: null }]), null)
  t.equal(leaderAmong([view('a', 'leader', 2), view('b', 'leader', 3)]), 'b')
})

t.test('replicas have diverged when one index has two contents', async (t) => {
  const at = (index: number, hash: string) => [{ group: 0, index, hash }]
  t.equal(haveDiverged([at(5, 'x'), at(5, 'x'), null]), false)
  t.equal(haveDiverged([at(5, 'x'), at(6, 'y')]), false, 'one is behind')
  t.equal(haveDiverged([at(5, 'x'), at(5, 'y')]), true)
})

t.test('the live view names leader, rates, and what to try', async (t) => {
  const nodes = ['n1', 'n2'].map((id, i) => ({
    ...(i === 0 ? view(id, 'leader', 4) : { id, view: null }),
    pid: i === 0 ? 77 : null,
    address: `127.0.0.1:${i}`,
    admin: `http://127.0.0.1:9${i}`
  }))
  const event = {
    type: 'NodeStarted',
    nodeId: 'n1',
    sequence: 1,
    wallTime: 0 as WallMs
  } as Parameters<typeof describeEvent>[1]
  const state = {
    nodes,
    figures: {
      writesPerSecond: 1234.4,
      readsPerSecond: 9,
      writeP50Ms: 1,
      writeP99Ms: 2,
      errors: 3
    },
    events: [describeEvent('n1', event), describeEvent('n\x1b[2J', event)],
    environmentFile: '/data of mine/env',
    dataDirectory: '/d',
    revivedAfterMs: 5_000
  }
  const lines = renderLive(state, 40)
  const text = lines.map((line) => line.text).join('\n')
  t.match(text, /2 processes, mutual TLS, 1 groups, all led/)
  t.match(text, /writes\/s 1234 {3}reads\/s 9/)
  t.match(text, /n2 +down/)
  t.match(text, /kill -9 77 +# leads the most; back after 5 s/)
  t.match(text, /\. '\/data of mine\/env' /)
  t.match(text, /open http:\/\/127\.0\.0\.1:90\/readyz/)
  t.notMatch(text, '\x1b', 'X-45 nothing drives the terminal')
  const drawn = frame(lines, 20, 5, false)
  t.equal(drawn.split('\n').length, 5)
  t.ok(drawn.startsWith('\x1b[H'))
  const many = { ...state, events: Array.from({ length: 16 }, (_, i) => `event ${i}`) }
  const small = renderLive(many, 23)
  t.ok(small.length <= 23, 'a small screen shows fewer events')
  t.match(small.map((line) => line.text).join('\n'), 'event 15')
  t.match(frame(lines, 200, 50, true), '\x1b[32mn1', 'the leader stands out')
  const narrow = frame(lines, 30, 50, false)
  t.match(narrow, `skein query 'SELECT count(*) FROM pgbench_history'`, 'commands are never cut')
})

t.test('a workspace is made once, used again, and let go', async (t) => {
  const data = join(await temporaryDirectory(t), 'data')
  const first = await openWorkspace(options({ data }))
  t.equal((await stat(first.authority.tokenFile)).mode & 0o777, 0o600)
  t.equal((await stat(first.authority.gossipKeyFile)).mode & 0o777, 0o600)
  await t.rejects(openWorkspace(options({ data })), { name: 'CliError', message: /locked/ })
  await first.release()
  const second = await openWorkspace(options({ data }))
  t.equal(second.token, first.token, 'the same cluster')
  const ports = await choosePorts(second.nodeIds, 0)
  const config = await readConfig(await writeNodeConfig(second, 'n2', ports), {})
  t.match(config, { node: { id: 'n2' }, cluster: { bootstrap: { voters: ['n1', 'n2', 'n3'] } } })
  t.equal(config.cluster.seeds.length, 2)
  const { certificateFile = '', keyFile = '', caFile = '' } = config.security
  const files = { certificateFile, keyFile, caFile }
  t.match(await readTlsMaterial(files, Date.now() as WallMs), { peer: { nodeId: 'n2' } })
  await second.release()
  const { certificateFile: clientFile = '' } = second.clientAccess
  await rm(clientFile)
  const third = await openWorkspace(options({ data }))
  const access = { ...files, ...third.clientAccess }
  t.match(await readTlsMaterial(access, Date.now() as WallMs), {
    peer: { kind: 'client', name: 'load', clusterName: 'demo' }
  })
  await writeEnvironment(third, 'http://127.0.0.1:9', '/a b/main.js')
  const shell = await readFile(third.environmentFile, 'utf8')
  t.match(shell, 'export SKEIN_ADMIN_URL=http://127.0.0.1:9\n')
  t.match(shell, `export SKEIN_CERT_FILE=${clientFile}\n`)
  t.match(shell, `'/a b/main.js' "$@"; }`)
  await third.release()
  await t.rejects(openWorkspace(options({ data, nodes: '5' })), unusable)
})

t.test('a directory that is not ours or no directory is refused', async (t) => {
  const data = await temporaryDirectory(t)
  await writeFile(join(data, 'letter.txt'), 'dear')
  await t.rejects(openWorkspace(options({ data })), { name: 'CliError', message: /letter.txt/ })
  t.equal(await readFile(join(data, 'letter.txt'), 'utf8'), 'dear')
  await t.rejects(openWorkspace(options({ data: join(data, 'letter.txt') })), unusable)
})

t.test('a temporary workspace leaves nothing behind', async (t) => {
  const workspace = await openWorkspace(options())
  t.ok((await readdir(workspace.directory)).length > 0)
  await workspace.release()
  await t.rejects(stat(workspace.directory), { code: 'ENOENT' })
  const own = await mkdtemp(join(tmpdir(), 'skein-test-'))
  await rm(own, { recursive: true })
})

t.test('a named port that is in use ends with status 2', async (t) => {
  const ports = await choosePorts(['a', 'b', 'c'], 0)
  t.equal(new Set([...ports.values()].flatMap((pair) => [pair.cluster, pair.admin])).size, 6)
  const server = createServer()
  const first = ports.get('a')?.cluster ?? 0
  await new Promise<void>((resolve) => server.listen(first + 1, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  await t.rejects(choosePorts(['a'], first), { name: 'CliError', message: /in use/ })
})
