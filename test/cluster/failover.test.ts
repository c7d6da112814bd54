/** Why a leadership moved, asked of real processes after the leader was killed. */
import t from 'tap'
import type { Failover, FailoverStatus } from '../../src/core/index.js'
import { ProcessCluster, until } from '../support/process-cluster.js'
import { skein } from '../support/run-skein.js'

const cluster = await ProcessCluster.start(t, 3)
const askTimeoutMs = 5_000

interface Failovers {
  readonly status: FailoverStatus
  readonly failovers: readonly Failover[]
}

const connection = (id: string) => [
  '--admin',
  cluster.node(id).options.admin,
  '--token-file',
  cluster.workspace.authority.tokenFile
]

async function failovers(id: string): Promise<Failovers | null> {
  const outcome = await cluster.admin(id).get('/v1/failovers', askTimeoutMs)
  return outcome.kind === 'answer' ? (outcome.body as Failovers) : null
}

t.test('kill -9 of a leader is explained: why, and what was done', async (t) => {
  const killed = await cluster.leader()
  const [asked = ''] = cluster.others(killed)
  cluster.node(killed).kill()
  await cluster.node(killed).exited()
  let found: Failover | undefined
  await until('it is recorded', 60_000, async () => {
    const known = await failovers(asked)
    found = known?.failovers.find(({ group, from }) => group === 0 && from === killed)
    return found !== undefined
  })
  t.match(found, { reason: 'elected', from: killed })
  t.ok(cluster.others(killed).includes(found?.to ?? ''), `${found?.to} was elected`)
  t.match(found?.why, new RegExp(`^${killed} (is not alive|does not answer)`))
  t.match(found?.action, `elected ${found?.to} in term ${found?.term}`)
  t.not(found?.by, killed)
  // On a busy machine it may lose the leadership again, and that is recorded too.
  await until('the record of the last term tells who leads it', 60_000, async () => {
    const { leader } = await cluster.group(asked)
    const ofGroup = (await failovers(asked))?.failovers.filter(({ group }) => group === 0) ?? []
    const last = [...ofGroup].sort((a, b) => a.term - b.term).at(-1)
    return leader !== null && last?.to === leader
  })
  const shown = await skein('failover', 'explain', String(found?.id), ...connection(asked))
  t.match(shown, { status: 0, stdout: new RegExp(`because ${killed} `) })
  const unknown = await skein('failover', 'explain', '999', ...connection(asked))
  t.match(unknown, { status: 1, stderr: /ERR_SKEIN_NOT_FOUND/ })
  const metrics = await cluster.admin(asked).get('/v1/metrics', askTimeoutMs)
  t.match(metrics, { kind: 'answer', body: { failover: { rolling_restarts: 0 } } })
})

t.test('a pause is told by every node, and is in the audit trail', async (t) => {
  const [asked = '', other = ''] = cluster.others().filter((id) => cluster.node(id).pid !== null)
  const paused = await skein('failover', 'pause', '--by', 'ann', ...connection(asked))
  t.match(paused, { status: 0, stdout: /paused by ann/ })
  t.match(await failovers(other), { status: { pausedBy: 'ann' } })
  t.match(await skein('failover', 'resume', ...connection(other)), { stdout: /at work/ })
  t.match(await failovers(asked), { status: { pausedBy: null } })
  await until('both are in the audit trail', 20_000, async () => {
    const audit = JSON.stringify(await cluster.admin(other).get('/v1/audit', askTimeoutMs))
    return audit.includes('failovers/pause') && audit.includes('failovers/resume')
  })
})
