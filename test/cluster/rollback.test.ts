/**
 * R-P14: the data directory of one of three real processes is put back to an older copy. The others
 * prove it, the process ends and says why, and comes back with an empty directory.
 */
import { cp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ProcessCluster, until } from '../support/process-cluster.js'
import { skein } from '../support/run-skein.js'

type Assertions = Pick<typeof t, 'match' | 'equal'>

const timeoutMs = 60_000
const writesOfRound = 20
const attemptsMax = 5
const logTailChars = 4_000

const cluster = await ProcessCluster.start(t, 3, {
  // A leader that another one follows takes what it was told with it.
  consensus: { electionTimeoutMinMs: 6_000, electionTimeoutMaxMs: 12_000 }
})
const place = (name: string) => join(cluster.workspace.directory, name)
const count = 'SELECT count(*) FROM kept'
let written = 0

async function write(leader: string): Promise<void> {
  for (let i = 0; i < writesOfRound; i++) {
    await cluster.run(leader, `INSERT INTO kept VALUES (${written})`)
    written++
  }
}

const holdsAll = (id: string) =>
  until(`${id} holds what was acknowledged`, timeoutMs, async () => {
    const { rows } = await cluster.run(id, count, { consistency: 'local' })
    return Number(rows?.[0]?.[0]) === written
  })

async function copyOf(id: string): Promise<string> {
  const lock = join(place(id), 'lock')
  await cp(place(id), place(`${id}.copy`), { recursive: true, filter: (from) => from !== lock })
  return place(`${id}.copy`)
}

/** The process ends with a failure, and its log says by what proof. */
async function isRefused(t: Assertions, id: string, copy: string, proof: RegExp): Promise<void> {
  await cluster.kill(id)
  await rm(place(id), { recursive: true })
  await rename(copy, place(id))
  const node = cluster.node(id)
  const before = (await readFile(node.options.logFile, 'utf8')).length
  cluster.unexpectedExits.length = 0
  await node.start().catch(() => {})
  const heard = async () => (await readFile(node.options.logFile, 'utf8')).slice(before)
  try {
    await until(`${id} ends`, timeoutMs, async () => node.pid === null)
  } catch (cause) {
    throw new Error(`${id} goes on: ${(await heard()).slice(-logTailChars)}`, { cause })
  }
  const said = await heard()
  t.match(said, /ERR_SKEIN_ROLLED_BACK/)
  t.match(said, proof)
  t.match(said, /skein members add/)
  for (const how of cluster.unexpectedExits) t.equal(how, `${id}: status 1`)
}

async function comesBackEmpty(id: string, asked: string): Promise<void> {
  await rm(place(id), { recursive: true })
  await cluster
    .node(id)
    .start()
    .catch(() => {})
  await until(`${id} is added`, timeoutMs, async () => {
    const connection = ['--admin', cluster.node(asked).options.admin]
    const token = ['--token-file', cluster.workspace.authority.tokenFile]
    const { status, stderr } = await skein('members', 'add', id, ...connection, ...token)
    if (status !== 0) throw new Error(stderr)
    return true
  })
  await holdsAll(id)
}

/** While one leader leads: another one has been told nothing. */
async function liveCopyOf(victim: string): Promise<string> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const { term } = await cluster.group(victim)
    cluster.pause(victim)
    const copy = await copyOf(victim)
    cluster.resume(victim)
    await write(await cluster.leader())
    await holdsAll(victim)
    if ((await cluster.group(victim)).term === term) return copy
    await rm(copy, { recursive: true })
  }
  throw new Error('leaders did not stay')
}

t.test('R-P14 a copy of a running node is proven by its leader', async (t) => {
  const leader = await cluster.leader()
  const [victim = ''] = cluster.others(leader)
  await cluster.run(leader, 'CREATE TABLE kept (number INTEGER PRIMARY KEY)')
  await write(leader)
  await holdsAll(victim)
  const copy = await liveCopyOf(victim)
  await isRefused(t, victim, copy, /has acknowledged entry/)
  await comesBackEmpty(victim, await cluster.leader(cluster.others(victim)))
})

t.test('R-P14 a copy from before the last start is proven by who heard of that', async (t) => {
  const [victim = ''] = cluster.others(await cluster.leader())
  await cluster.kill(victim)
  const copy = await copyOf(victim)
  await cluster.node(victim).start()
  await write(await cluster.leader(cluster.others(victim)))
  await holdsAll(victim)
  await isRefused(t, victim, copy, /has heard of start|has acknowledged entry/)
  const leader = await cluster.leader(cluster.others(victim))
  await comesBackEmpty(victim, leader)
  const { rows } = await cluster.run(victim, count)
  t.equal(Number(rows?.[0]?.[0]), written, 'nothing acknowledged is lost')
})
