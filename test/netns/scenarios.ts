/** What the network does to a cluster of five hosts, and what must come of it. */
import { assert, must } from '../../src/core/index.js'
import { pause, until } from '../support/process-cluster.js'
import type { NamespaceCluster } from './namespace-cluster.js'

export type Figures = Readonly<Record<string, number | string | boolean>>
/** Between a client's writes: without it they take all there is of the processors. */
const thinkMs = 20

/** S-04: datagrams and segments are lost everywhere; nobody is declared dead. */
export async function loss(
  cluster: NamespaceCluster,
  percent: number,
  seconds: number
): Promise<Figures> {
  const deaths = await deathWatch(cluster)
  for (const id of cluster.ids) await cluster.namespaces.lose(cluster.hostOf(id), percent)
  const writer = new Writer(cluster, `loss_${percent}`)
  await writer.create()
  const [written] = await Promise.all([writer.writeFor(seconds * 1_000), pause(seconds * 1_000)])
  await cluster.namespaces.heal()
  await cluster.whole(30_000)
  const died = await deaths()
  await writer.check(cluster.ids)
  return { percent, seconds, deaths: died, ...written, ok: died === 0 }
}

/** S-11: nothing from one follower reaches another; both stay, and writes go on. */
export async function oneWay(cluster: NamespaceCluster, seconds: number): Promise<Figures> {
  const deaths = await deathWatch(cluster)
  const leader = await cluster.leader()
  const [a, b] = cluster.others(leader) as [string, string]
  await cluster.namespaces.cut(cluster.hostOf(a), cluster.hostOf(b))
  const writer = new Writer(cluster, 'one_way')
  await writer.create()
  const written = await writer.writeFor(seconds * 1_000)
  await cluster.namespaces.heal()
  await cluster.whole(30_000)
  const died = await deaths()
  await writer.check(cluster.ids)
  return { cut: `${a} to ${b}`, seconds, deaths: died, ...written, ok: died === 0 }
}

/** S-13: three and two; the two refuse writes, and all merge without help. */
export async function partition(cluster: NamespaceCluster, seconds: number): Promise<Figures> {
  const { namespaces, ids } = cluster
  const leader = await cluster.leader()
  const minority = [leader, must(cluster.others(leader)[0], 'another')]
  const majority = cluster.others(...minority)
  const writer = new Writer(cluster, 'split')
  await writer.create()
  await writer.writeFor(1_000)
  for (const a of minority) {
    for (const b of majority) await namespaces.cutBoth(cluster.hostOf(a), cluster.hostOf(b))
  }
  const cutAt = performance.now()
  await cluster.leader(majority, 30_000)
  const electedMs = performance.now() - cutAt
  const written = await writer.writeFor(seconds * 1_000, majority)
  const refusals: string[] = []
  /** Negative numbers that were refused for certain. */
  const refused: number[] = []
  let tried = 0
  for (const id of minority) {
    // Until the failure detector has its verdicts, and it doubts itself first when most others are
    // silent, the refusal is that no leader is known.
    await until(`${id} refuses for want of a quorum`, 180_000, async () => {
      const value = --tried
      const sql = `INSERT INTO split VALUES (${value})`
      const outcome = await cluster.query(id, sql, { timeoutMs: 1_000 })
      assert(outcome.kind === 'refused', `${id} in the minority took a write: ${outcome.kind}`)
      const { code, message } = outcome.error
      if (code !== 'ERR_SKEIN_INDETERMINATE' && code !== 'ERR_SKEIN_TIMEOUT') refused.push(value)
      if (code === 'ERR_SKEIN_NO_QUORUM') refusals.push(message)
      return code === 'ERR_SKEIN_NO_QUORUM'
    })
  }
  const namedMs = performance.now() - cutAt
  await namespaces.heal()
  const healedAt = performance.now()
  await cluster.whole(60_000)
  const mergedMs = performance.now() - healedAt
  await cluster.leader()
  await writer.check(ids, refused)
  return {
    minority: minority.join(),
    refusals: refusals.join('; '),
    named_ms: Math.round(namedMs),
    elected_ms: Math.round(electedMs),
    merged_ms: Math.round(mergedMs),
    ...written,
    ok: written.written > 0
  }
}

interface RouteView {
  readonly target: string
  readonly relay: string
}

/**
 * The link between a follower and the leader is cut: urgent queries go by way of a third, and the
 * leader stays. Wants a cluster that nothing was done to for a while: whoever leads the control
 * group moves leaderships away from what it has measured to be ill, and a loss is long measured.
 * For the same reason it is not its link that is cut.
 */
export async function detour(cluster: NamespaceCluster): Promise<Figures> {
  const deaths = await deathWatch(cluster)
  const leader = await cluster.leader()
  const coordinator = await cluster.coordinator()
  const a = must(cluster.others(leader, coordinator)[0], 'a follower')
  const writer = new Writer(cluster, 'detour')
  await writer.create()
  await cluster.namespaces.cutBoth(cluster.hostOf(a), cluster.hostOf(leader))
  const cutAt = performance.now()
  await until(`urgent writes of ${a} reach ${leader}`, 30_000, async () => {
    const { routes } = await cluster.get<{ routes: RouteView[] }>(a, '/v1/health/routes')
    if (!routes.some(({ target }) => target === leader)) return false
    await cluster.run(a, 'INSERT INTO detour VALUES (1)', { priority: 'high', timeoutMs: 2_000 })
    return true
  })
  const detourMs = performance.now() - cutAt
  const { routes } = await cluster.get<{ routes: RouteView[] }>(a, '/v1/health/routes')
  const relay = must(routes.find(({ target }) => target === leader)?.relay, 'a relay')
  const leaderNow = await cluster.leader(cluster.others(a))
  await cluster.namespaces.heal()
  const healedAt = performance.now()
  await until('the direct path is taken again', 60_000, async () => {
    const told = await cluster.get<{ routes: RouteView[] }>(a, '/v1/health/routes')
    return told.routes.length === 0
  })
  const backMs = performance.now() - healedAt
  await cluster.run(a, 'INSERT INTO detour VALUES (2)')
  const died = await deaths()
  return {
    path: `${a} ${relay} ${leader}`,
    detour_ms: Math.round(detourMs),
    back_ms: Math.round(backMs),
    relayed_bytes: await cluster.metric(relay, 'communication', 'relayed_bytes'),
    coordinator,
    led_by: leaderNow,
    deaths: died,
    ok: detourMs <= 20_000 && died === 0 && leaderNow === leader
  }
}

interface ReachabilityView {
  readonly nodes: readonly { readonly nodeId: string; readonly finding: string }[]
}

/** What a firewall, or a path for small packets alone, does to each way is told by its name. */
export async function reachability(cluster: NamespaceCluster): Promise<Figures> {
  const { namespaces, ids } = cluster
  const deaths = await deathWatch(cluster)
  const [self, ...others] = ids as [string, string, string, string, string]
  const test = async () => {
    const path = '/v1/health/reachability'
    const { nodes } = await cluster.post<ReachabilityView>(self, path, {})
    return nodes.map(({ nodeId, finding }) => `${nodeId} ${finding}`).join(', ')
  }
  const before = await test()
  const [here, out, back, small] = [self, ...others].map((id) => cluster.hostOf(id))
  await namespaces.cutDatagrams(must(here, 'host'), must(out, 'host'))
  await namespaces.cutDatagrams(must(back, 'host'), must(here, 'host'))
  await namespaces.cutDatagrams(must(small, 'host'), must(here, 'host'), 1_200)
  const during = await test()
  await namespaces.heal()
  await cluster.whole(30_000)
  const after = await test()
  const well = others.map((id) => `${id} reachable`).join(', ')
  const [b, c, d, e] = others
  const wanted = `${b} noDatagramsOut, ${c} noDatagramsBack, ${d} noFullDatagrams, ${e} reachable`
  const died = await deaths()
  const ok = before === well && during === wanted && after === well && died === 0
  return { before, during, after, deaths: died, ok }
}

/** Answers how often a member was declared dead since, by whom ever. */
async function deathWatch(cluster: NamespaceCluster): Promise<() => Promise<number>> {
  const heard = await Promise.all(cluster.ids.map((id) => cluster.countEvents(id, 'MemberDied')))
  return async () => heard.reduce((sum, { stop }) => sum + stop(), 0)
}

/** Inserts numbers through all nodes in turn, and knows which were acknowledged. */
class Writer {
  readonly #cluster: NamespaceCluster
  readonly #table: string
  readonly #acknowledged: number[] = []
  readonly #unknown: number[] = []
  #next = 0

  constructor(cluster: NamespaceCluster, table: string) {
    this.#cluster = cluster
    this.#table = table
  }

  async create(): Promise<void> {
    const [first] = this.#cluster.ids
    const sql = `CREATE TABLE ${this.#table} (value INTEGER)`
    await this.#cluster.run(must(first, 'a node'), sql, { timeoutMs: 30_000 })
  }

  async writeFor(ms: number, through: readonly string[] = this.#cluster.ids) {
    const endsAt = performance.now() + ms
    const before = this.#acknowledged.length
    let refused = 0
    const worker = async (id: string) => {
      while (performance.now() < endsAt) {
        const value = this.#next++
        const sql = `INSERT INTO ${this.#table} VALUES (${value})`
        const outcome = await this.#cluster.query(id, sql, { timeoutMs: 10_000 })
        if (outcome.kind === 'answer') this.#acknowledged.push(value)
        else if (outcome.kind === 'notSent') refused++
        else {
          refused++
          this.#unknown.push(value)
        }
        await pause(thinkMs)
      }
    }
    await Promise.all(through.flatMap((id) => [worker(id), worker(id)]))
    return { written: this.#acknowledged.length - before, refused }
  }

  /** Every acknowledged number is there once, and nothing that was never written. */
  async check(ids: readonly string[], refused: readonly number[] = []): Promise<void> {
    for (const id of ids) {
      const sql = `SELECT value FROM ${this.#table}`
      const { rows } = await this.#cluster.run(id, sql, { timeoutMs: 30_000 })
      const counts = new Map<number, number>()
      for (const [value] of rows) counts.set(Number(value), (counts.get(Number(value)) ?? 0) + 1)
      for (const value of this.#acknowledged) {
        assert(
          counts.get(value) === 1,
          `${id}: ${value} was acknowledged, ${counts.get(value)} there`
        )
      }
      const known = new Set([...this.#acknowledged, ...this.#unknown])
      for (const [value, count] of counts) {
        assert(!refused.includes(value), `${id}: ${value} was refused and is there`)
        assert((value < 0 || known.has(value)) && count === 1, `${id}: ${value}, ${count} times`)
      }
    }
  }
}
