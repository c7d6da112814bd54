/** The main job, shortened: real processes, real TLS, a leader killed with SIGKILL under load. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import t from 'tap'
import { mainFile } from '../support/main-file.js'
import { until } from '../support/process-cluster.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { looksAtAll } from '../support/thoroughness.js'

type Tap = { teardown(handler: () => unknown): void }

function demo(t: Tap, ...args: string[]) {
  const child = spawn(process.execPath, [mainFile, 'demo', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve))
  return { child, closed, lines: createInterface({ input: child.stdout }) }
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const untilGone = (pids: readonly number[]): Promise<void> =>
  until('the nodes are gone', 10_000, async () => !pids.some(isRunning))

t.test('kill -9 of a leader under distributed transactions loses nothing', async (t) => {
  const data = await temporaryDirectory(t)
  const { closed, lines } = demo(t, '--once', '--seconds', '4', '--data', data)
  let last = ''
  for await (const line of lines) last = line
  t.equal(await closed, 0)
  const report = JSON.parse(last)
  t.match(report, {
    ok: true,
    reasons: [],
    nodes: 3,
    groups: 4,
    in_doubt: 0,
    writes_lost: 0,
    writes_unexpected: 0,
    writes_repeated: 0,
    writes_altered: 0,
    client_errors: 0,
    killed_was_leader: true,
    balances_consistent: true,
    replicas_identical: true
  })
  t.ok(report.writes_acknowledged > 0 && report.reads > 0)
  t.ok(report.distributed_transactions > 0)
  t.ok(report.sessions_reattached >= report.sessions_orphaned && report.sessions_orphaned > 0)
  t.not(report.new_leader, report.killed)
})

const skip = looksAtAll ? false : 'npm run test:all, npm start -- --rolling-restart'

t.test('L-07 a rolling restart under load is seen by no session', { skip }, async (t) => {
  const data = await temporaryDirectory(t)
  const args = ['--rolling-restart', '--nodes', '3', '--sessions', '20', '--data', data]
  const { closed, lines } = demo(t, ...args)
  let last = ''
  for await (const line of lines) last = line
  const report = JSON.parse(last)
  t.match(report, {
    ok: true,
    reasons: [],
    plan_status: 'finished',
    client_errors: 0,
    sessions_refused: 0,
    sessions_lost: 0,
    elections_by_timeout: 0
  })
  t.equal(await closed, 0)
  t.same([...report.restarted].sort(), ['n1', 'n2', 'n3'])
  t.ok(report.leaders_moved >= 1)
  const moves = report.sessions_moved + report.sessions_reattached
  t.ok(moves >= 20, 'each had its home on a node that was restarted')
})

interface Ready {
  readonly nodes: readonly { readonly id: string; readonly pid: number; readonly admin: string }[]
  readonly token: string
}

/** A running demo, once all its nodes serve. */
async function running(t: Tap, data: string) {
  const { child, closed, lines } = demo(t, '--data', data)
  const iterator = lines[Symbol.asyncIterator]()
  const { value } = await iterator.next()
  const ready: Ready & { event: string } = JSON.parse(value)
  lines.resume()
  return { child, closed, ready, pids: ready.nodes.map(({ pid }) => pid) }
}

t.test(
  'SIGTERM stops all, the data is there again, and nodes end with who starts them',
  async (t) => {
    const data = await temporaryDirectory(t)
    const first = await running(t, data)
    t.equal(first.ready.event, 'ready')
    t.same(
      first.ready.nodes.map(({ id }) => id),
      ['n1', 'n2', 'n3']
    )
    const [node] = first.ready.nodes
    const url = `${node?.admin}/v1/cluster`
    t.equal((await fetch(url)).status, 401, 'the token is needed')
    const authorization = `Bearer ${(await readFile(first.ready.token, 'utf8')).trim()}`
    const clusterIdAt = async (at: string) => {
      const view: unknown = await (await fetch(at, { headers: { authorization } })).json()
      return (view as { clusterId: string }).clusterId
    }
    const clusterId = await clusterIdAt(url)
    first.child.kill('SIGTERM')
    t.equal(await first.closed, 0)
    await untilGone(first.pids)
    const second = await running(t, data)
    t.equal(await clusterIdAt(`${second.ready.nodes[0]?.admin}/v1/cluster`), clusterId)
    t.ok(second.pids.every(isRunning))
    second.child.kill('SIGKILL')
    await second.closed
    await untilGone(second.pids)
  }
)
