import t, { type Test } from 'tap'
import type { WallMs } from '../../../src/core/ids.js'
import type { ServiceState, SyncedService, VersionVector } from '../../../src/core/state-sync.js'
import {
  compareVersions,
  joinVersions
} from '../../../src/failover/state-transfer/version-vector.js'
import {
  node,
  randomBytes,
  reasonOf,
  StateSyncWorld,
  type SyncNode
} from '../../support/state-sync-world.js'

/** A set of words; what was added since a version is its increment. */
class Words implements SyncedService {
  readonly onConflict: SyncedService['onConflict']
  readonly log: { readonly origin: string; readonly count: number; readonly word: string }[] = []
  known: VersionVector = {}
  /** Versions that it was at since it was whole. */
  passed: VersionVector[] = []
  changedAt = 0 as WallMs
  /** Called within `merge`, before it looks at its version. */
  beforeMerge: () => void = () => {}
  readonly #self: string

  constructor(self: string, onConflict?: SyncedService['onConflict']) {
    this.#self = self
    this.onConflict = onConflict
  }

  add(word: string, changedAt = 1): void {
    const count = (this.known[this.#self] ?? 0) + 1
    this.passed.push(this.known)
    this.known = { ...this.known, [this.#self]: count }
    this.log.push({ origin: this.#self, count, word })
    this.changedAt = changedAt as WallMs
  }

  get words(): string[] {
    return [...new Set(this.log.map(({ word }) => word))].sort()
  }

  version(): VersionVector {
    return this.known
  }

  async snapshot(_tenant: string, from: VersionVector): Promise<ServiceState | null> {
    if (Object.keys(this.known).length === 0) return null
    const isWhole = Object.keys(from).length === 0
    const isPart = !isWhole && this.passed.some((at) => compareVersions(at, from) === 'equal')
    const since = (origin: string) => (isPart ? (from[origin] ?? 0) : 0)
    const log = this.log.filter(({ origin, count }) => count > since(origin))
    const data = new TextEncoder().encode(JSON.stringify(log))
    const { known: version, changedAt } = this
    return { mode: isPart ? 'incremental' : 'full', version, changedAt, data }
  }

  async merge(_tenant: string, state: ServiceState, over: VersionVector): Promise<boolean> {
    this.beforeMerge()
    if (compareVersions(this.known, over) !== 'equal') return false
    if (state.mode === 'full') {
      this.log.length = 0
      this.passed = []
    } else this.passed.push(this.known)
    this.log.push(...JSON.parse(new TextDecoder().decode(state.data)))
    this.known = state.version
    this.changedAt = state.changedAt
    return true
  }
}

function world(t: Test, onConflict?: SyncedService['onConflict'], config = {}) {
  const made = new StateSyncWorld(1, config)
  const [a, b] = made.start('a', 'b') as [SyncNode, SyncNode]
  const [words, others] = [new Words('a', onConflict), new Words('b', onConflict)]
  a.sync.registerService('words', words)
  b.sync.registerService('words', others)
  const sync = (from: SyncNode, to: SyncNode, options = {}) =>
    made.clock.settle(to.sync.syncService(from.nodeId, 'words', 'acme', options))
  const refused = async (from: SyncNode, to: SyncNode) =>
    made.clock.settle(to.sync.syncService(from.nodeId, 'words', 'acme').then(() => 'ok', reasonOf))
  t.teardown(() => made.clock.settle(Promise.all([a.sync.stop(), b.sync.stop()])))
  return { world: made, a, b, words, others, sync, refused }
}

t.test('a state comes whole, then what changed since, then nothing', async (t) => {
  const { a, b, words, others, sync } = world(t)
  t.match(await sync(a, b), { result: 'unchanged', bytesReceived: 0 }, 'of nothing')
  words.add('goose')
  words.add('gander')
  t.match(await sync(a, b), { result: 'merged', version: { a: 2 }, asFile: false })
  t.same(others.words, ['gander', 'goose'])
  words.add('gosling')
  const part = await sync(a, b)
  t.equal(part.result, 'merged')
  t.same(others.words, ['gander', 'goose', 'gosling'])
  t.match(await sync(a, b), { result: 'unchanged', bytesReceived: 0 })
  t.match(await sync(b, a), { result: 'unchanged' })
  words.add('duck')
  const whole = await sync(a, b, { mode: 'full' })
  t.ok(whole.bytesReceived > part.bytesReceived)
  t.same(others.words, words.words)
  t.match(b.events.filter(({ type }) => type === 'ServiceSynced').at(-1), {
    service: 'words',
    tenant: 'acme',
    from: 'a',
    result: 'merged'
  })
})

t.test('a state that is too large for a message comes as a file, which is not kept', async (t) => {
  const { world: made, a, b, words, others, sync } = world(t, undefined, { chunkBytes: 65_536 })
  const long = Buffer.from(randomBytes(made.random, 700_000)).toString('hex')
  words.add(long)
  const report = await sync(a, b)
  t.match(report, { result: 'merged', asFile: true })
  t.ok(report.bytesReceived > 1_400_000)
  t.same(others.words, [long])
  t.same(await b.list('files'), [])
  t.equal((await a.list('files')).length, 1, 'it waits for others who may ask')
  for (let i = 0; i < 10; i++) {
    words.add(`more ${i}`)
    await sync(a, b, { mode: 'full' })
  }
  t.equal((await a.list('files')).length, 8, 'so many wait')
  a.crash()
  a.start()
  a.sync.registerService('words', words)
  await sync(a, b, { mode: 'full' })
  words.add('again')
  await sync(a, b, { mode: 'full' })
  t.equal((await a.list('files')).length, 1, 'those of a former process are gone')
})

t.test('a conflict is rejected unless the service says otherwise, and told', async (t) => {
  const { b, a, words, others, refused } = world(t)
  words.add('goose')
  others.add('duck')
  t.equal(await refused(a, b), 'ERR_SKEIN_STATE_CONFLICT')
  t.same([words.words, others.words], [['goose'], ['duck']], 'nothing was changed')
  t.match(
    b.events.filter(({ type }) => type === 'StateConflictFound'),
    [{ service: 'words', tenant: 'acme', from: 'a' }]
  )
  t.equal(b.sync.metrics().state_conflicts, 1)
})

t.test('last-writer-wins and higher-version: both ends end with the same state', async (t) => {
  for (const [strategy, expected] of [
    ['last-writer-wins', 'duck'],
    ['higher-version', 'goose']
  ] as const) {
    for (const firstAsks of ['a', 'b'] as const) {
      const { a, b, words, others, sync } = world(t, strategy)
      words.add('goose', 10)
      words.add('goose', 10)
      others.add('duck', 20)
      const [from, to] = firstAsks === 'a' ? [b, a] : [a, b]
      const { result } = await sync(from, to)
      const wantsLocal = (to === a) === (expected === 'goose')
      t.equal(result, wantsLocal ? 'keptLocal' : 'tookRemote', `${strategy}, ${firstAsks}`)
      t.equal((await sync(to, from)).result, 'merged', 'the other learns of it')
      t.same([words.words, others.words], [[expected], [expected]])
      t.same(words.known, others.known)
      t.match(await sync(from, to), { result: 'unchanged' })
    }
  }
})

t.test('a function of the embedder puts two states together', async (t) => {
  const { a, b, words, others, sync } = world(t, ({ local, remote }) => {
    const parse = ({ data }: ServiceState) => JSON.parse(new TextDecoder().decode(data))
    return new TextEncoder().encode(JSON.stringify([...parse(local), ...parse(remote)]))
  })
  words.add('goose')
  others.add('duck')
  t.match(await sync(a, b), { result: 'combined', version: { a: 1, b: 2 } })
  t.equal((await sync(b, a)).result, 'merged')
  t.same(
    [words.words, others.words],
    [
      ['duck', 'goose'],
      ['duck', 'goose']
    ]
  )
})

t.test('a state that changes while it is merged is decided on anew', async (t) => {
  const { a, b, words, others, sync, refused } = world(t, 'higher-version')
  words.add('goose')
  words.add('gander')
  let changes = 0
  others.beforeMerge = () => {
    if (changes++ === 0) others.add('duck')
  }
  t.equal((await sync(a, b)).result, 'tookRemote', 'what was newer is in conflict now')
  t.same(joinVersions(others.known, { a: 2, b: 1 }), others.known)
  words.add('gosling')
  others.beforeMerge = () => others.add('duck')
  t.equal(await refused(a, b), 'ERR_SKEIN_BACKPRESSURE', 'but not for ever')
})

t.test('what is not there, not allowed, too large or too much is refused', async (t) => {
  const {
    world: made,
    a,
    b,
    words,
    refused
  } = world(t, undefined, {
    stateBytesMax: 1_024,
    serviceSyncsMax: 1
  })
  const outcome = (service: string, tenant: string) =>
    made.clock.settle(b.sync.syncService(node('a'), service, tenant).then(() => 'ok', reasonOf))
  t.equal(await outcome('other', 'acme'), 'ERR_SKEIN_NOT_FOUND')
  b.sync.registerService('other', new Words('b'))
  t.equal(await outcome('other', 'acme'), 'ERR_SKEIN_NOT_FOUND', 'not registered there')
  t.equal(await outcome('words', 'a\n'), 'ERR_SKEIN_INVALID_ARGUMENT')
  const invalid = { code: 'ERR_SKEIN_INVALID_ARGUMENT' }
  t.throws(() => b.sync.registerService('words', new Words('b')), invalid)
  t.throws(() => b.sync.registerService('', new Words('b')), invalid)
  words.add('x'.repeat(2_000))
  t.equal(await refused(a, b), 'ERR_SKEIN_MESSAGE_TOO_LARGE')
  const two = [refused(a, b), refused(a, b)]
  t.same((await Promise.all(two)).sort(), ['ERR_SKEIN_BACKPRESSURE', 'ERR_SKEIN_MESSAGE_TOO_LARGE'])
})

t.test('tenants: what one says all hear, and a removed one stays removed', async (t) => {
  const made = new StateSyncWorld(3, { tenantIntervalMs: 1_000 })
  const nodes = made.start('a', 'b', 'c', 'd')
  const [a, b, c] = nodes as [SyncNode, SyncNode, SyncNode]
  const input = { tenant: 'acme', services: ['mail', 'billing'], clients: 3, sizeBytes: 10 }
  const said = a.sync.tenants.set(input)
  t.match(said, { origin: 'a', services: ['billing', 'mail'] })
  const everywhere = (holds: (at: SyncNode) => boolean) =>
    made.clock.until(() => nodes.every(holds), 60_000)
  await everywhere(({ sync }) => sync.tenants.get('acme')?.clients === 3)
  c.sync.tenants.set({ ...input, clients: 4 })
  await everywhere(({ sync }) => sync.tenants.get('acme')?.clients === 4)
  t.ok(b.sync.tenants.remove('acme'))
  t.notOk(b.sync.tenants.remove('acme'))
  await everywhere(({ sync }) => sync.tenants.list().length === 0)
  t.match(
    a.events.filter(({ type }) => type === 'TenantChanged'),
    [{ metadata: { clients: 3 } }, { metadata: { clients: 4 } }, { metadata: null, origin: 'b' }]
  )
  const invalid = { code: 'ERR_SKEIN_INVALID_ARGUMENT' }
  for (const wrong of [
    { ...input, tenant: '' },
    { ...input, tenant: 'x'.repeat(64) },
    { ...input, services: [''] },
    { ...input, services: Array.from({ length: 65 }, () => 's') },
    { ...input, clients: -1 },
    { ...input, sizeBytes: 0.5 }
  ]) {
    t.throws(() => a.sync.tenants.set(wrong), invalid)
  }
  for (let i = 0; i < 300; i++) a.sync.tenants.set({ ...input, tenant: `tenant-${i}` })
  await made.clock.settle(b.sync.tenants.exchange(node('a')))
  t.same(b.sync.tenants.list(), a.sync.tenants.list())
  const { tenant_exchanges_failed: failed } = b.sync.metrics()
  t.equal(failed, 0)
})
