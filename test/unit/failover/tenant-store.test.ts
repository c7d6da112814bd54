import t from 'tap'
import type { NodeId, WallMs } from '../../../src/core/ids.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import {
  type TenantRecord,
  TenantStore,
  tombstoneMs,
  versionAheadMsMax
} from '../../../src/failover/state-transfer/tenant-store.js'

const wall = (ms: number) => ms as WallMs
const start = 1_700_000_000_000
const create = (nodeId: string, tenantsMax = 100) =>
  new TenantStore({ nodeId: nodeId as NodeId, tenantsMax })
const input = (tenant: string, clients = 0) => ({ tenant, clients, services: ['s'], sizeBytes: 1 })

/** One exchange, as the drivers hold it: pages of ours, what is newer of theirs. */
function exchange(ours: TenantStore, theirs: TenantStore, now: WallMs, bytesMax = 1_000): void {
  let after = ''
  do {
    const page = ours.page(after, bytesMax, 3)
    for (const record of page.tenants) theirs.hear(record, now)
    for (const record of theirs.newerThan(page.tenants, page, 1_000_000, 1_000)) {
      ours.hear(record, now)
    }
    after = page.upTo
  } while (after !== '')
}

t.test('random news, exchanges in any order: all know the latest of each tenant', async (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = SplittableRandom.fromSeed(seed)
    const stores = ['a', 'b', 'c', 'd'].map((name) => create(name))
    const pick = () => stores[random.nextInt(stores.length)] as TenantStore
    /** By tenant, everything that was ever said. */
    const said = new Map<string, TenantRecord[]>()
    let now = start
    for (let step = 0; step < 150; step++) {
      now += random.nextInt(3)
      const tenant = `t${random.nextInt(12)}`
      const kind = random.nextInt(4)
      const store = pick()
      if (kind === 0) exchange(store, pick(), wall(now))
      else {
        const record =
          kind === 1 ? store.remove(tenant, wall(now)) : store.set(input(tenant, step), wall(now))
        if (record !== null) said.set(tenant, [...(said.get(tenant) ?? []), record])
      }
    }
    for (let round = 0; round < 2; round++) {
      for (const one of stores) for (const other of stores) exchange(one, other, wall(now))
    }
    const latest = [...said.values()].map((records) =>
      records.reduce((a, b) =>
        b.version > a.version || (b.version === a.version && b.origin > a.origin) ? b : a
      )
    )
    const expected = latest.filter(({ removed }) => !removed).map(({ tenant }) => tenant)
    for (const store of stores) {
      t.same(
        store.list().map(({ tenant }) => tenant),
        expected.sort(),
        `seed ${seed}`
      )
      for (const record of latest) t.same(store.get(record.tenant), record)
      t.equal(store.digest, stores[0]?.digest, 'and the digests say so')
    }
  }
})

t.test('digests differ when knowledge does, and forget what is forgotten', async (t) => {
  const store = create('a')
  const seen = new Set([store.digest])
  for (let i = 0; i < 50; i++) {
    store.set(input(`t${i % 5}`), wall(start + i))
    t.notOk(seen.has(store.digest), `change ${i}`)
    seen.add(store.digest)
  }
  for (let i = 0; i < 5; i++) store.remove(`t${i}`, wall(start))
  store.forget(wall(start + tombstoneMs + 1))
  t.equal(store.size, 0)
  t.equal(store.digest, create('a').digest)
})

t.test('a node that forgot everything still speaks above what it said before', async (t) => {
  const [before, other] = [create('a'), create('b')]
  before.set(input('t', 1), wall(start))
  exchange(before, other, wall(start))
  const reborn = create('a')
  reborn.set(input('t', 2), wall(start + 1_000))
  exchange(other, reborn, wall(start + 1_000))
  t.equal(other.get('t')?.clients, 2)
})

t.test(
  'a removed tenant is not brought back by who missed it, and is forgotten at last',
  async (t) => {
    const [a, b] = [create('a'), create('b')]
    a.set(input('t'), wall(start))
    exchange(a, b, wall(start))
    a.remove('t', wall(start + 1))
    exchange(b, a, wall(start + 2))
    t.same(b.list(), [])
    t.equal(a.remove('t', wall(start + 3)), null)
    const late = start + tombstoneMs + 2
    a.forget(wall(late))
    t.equal(a.size, 0)
    exchange(b, a, wall(late))
    t.equal(a.size, 0, 'the other’s memory of it is too old to be taken')
    b.set(input('t'), wall(late))
    exchange(a, b, wall(late))
    t.equal(a.list().length, 1)
  }
)

t.test(
  'bounds: new tenants are refused, known ones are not; no version is far ahead',
  async (t) => {
    const store = create('a', 2)
    store.set(input('t1'), wall(start))
    store.set(input('t2'), wall(start))
    t.throws(() => store.set(input('t3'), wall(start)), { code: 'ERR_SKEIN_BACKPRESSURE' })
    t.ok(store.set(input('t2', 7), wall(start)))
    const other = create('b')
    const told = other.set(input('t3'), wall(start))
    t.equal(store.hear(told, wall(start)), 'refused')
    const ahead = { ...told, tenant: 't1', version: start + versionAheadMsMax + 1 }
    t.equal(store.hear(ahead, wall(start)), 'refused')
    t.equal(store.hear({ ...ahead, version: ahead.version - 1 }, wall(start)), 'kept')
  }
)

t.test('pages cover all tenants once, each within its bounds', async (t) => {
  const store = create('a')
  for (let i = 0; i < 40; i++) store.set(input(`tenant-${i}`), wall(start))
  for (const [bytesMax, countMax] of [
    [1, 10],
    [500, 10],
    [1_000_000, 7],
    [1_000_000, 100]
  ] as const) {
    const names: string[] = []
    let after = ''
    do {
      const page = store.page(after, bytesMax, countMax)
      t.ok(page.tenants.length <= countMax && page.tenants.length > 0)
      names.push(...page.tenants.map(({ tenant }) => tenant))
      after = page.upTo
    } while (after !== '')
    t.same(
      names,
      store.list().map(({ tenant }) => tenant)
    )
  }
})
