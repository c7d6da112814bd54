import t from 'tap'
import { type NodeId, SplittableRandom } from '../../../../../src/core/index.js'
import {
  type MetadataChange,
  type MetadataDelta,
  MetadataStore
} from '../../../../../src/network/membership/metadata/metadata-store.js'
import { someOf } from '../../../../support/thoroughness.js'

const id = (name: string): NodeId => name as NodeId
const a = id('a')
const pairs = (store: MetadataStore, owner = a): [string, string | null][] =>
  store.entriesOf(owner).map(({ key, value }) => [key, value])
const take = (store: MetadataStore, delta: MetadataDelta | null): MetadataChange[] => {
  const changes: MetadataChange[] = []
  if (delta !== null) store.apply(delta, changes)
  return changes
}

t.test('an owner sets, changes and deletes; others follow from its deltas', async (t) => {
  const owner = new MetadataStore(a, 100)
  const other = new MetadataStore(id('b'), 7)
  t.equal(owner.set('color', 'red').version, 101)
  owner.set('shape', 'round')
  t.same(take(other, owner.deltaSince(a, 0)), [
    { nodeId: a, key: 'color', value: 'red', version: 101 },
    { nodeId: a, key: 'shape', value: 'round', version: 102 }
  ])
  owner.set('color', 'blue')
  t.equal(owner.delete('shape')?.version, 104)
  t.equal(owner.delete('shape'), null)
  t.equal(owner.delete('never'), null)
  const since = owner.deltaSince(a, other.versionOf(a))
  t.same(
    since?.entries.map(({ version }) => version),
    [103, 104],
    'the changes alone'
  )
  t.same(take(other, since), [
    { nodeId: a, key: 'color', value: 'blue', version: 103 },
    { nodeId: a, key: 'shape', value: null, version: 104 }
  ])
  t.same(pairs(other), [['color', 'blue']])
  t.equal(other.get(a, 'color'), 'blue')
  t.equal(other.get(a, 'shape'), undefined)
  t.equal(owner.deltaSince(a, other.versionOf(a)), null, 'nothing is left to tell')
  t.same(take(other, since), [], 'the same again changes nothing')
})

t.test('a delta with a gap before it is not used, however new', async (t) => {
  const owner = new MetadataStore(a, 0)
  const other = new MetadataStore(id('b'), 0)
  for (const key of ['one', 'two', 'three']) owner.set(key, key)
  const last = owner.deltaSince(a, 2)
  t.equal(other.apply(last as MetadataDelta, []), 'gap')
  t.same(pairs(other), [])
  t.equal(other.versionOf(a), 0)
  t.equal(other.apply(owner.deltaSince(a, 0) as MetadataDelta, []), 'applied')
  t.same(pairs(other), pairs(owner))
})

t.test('the newest changes are told with as many earlier ones as fit', async (t) => {
  const owner = new MetadataStore(a, 10)
  t.equal(owner.latestDelta(id('b'), 1_000), null)
  for (let i = 0; i < 20; i++) owner.set(`key${i}`, 'v'.repeat(80))
  owner.delete('key3')
  const told = owner.latestDelta(a, 500) as MetadataDelta
  t.equal(told.entries.at(-1)?.key, 'key3')
  t.equal(told.entries.length, 5)
  t.same(told, owner.deltaSince(a, told.from))
  t.equal(owner.latestDelta(a, 10), null, 'not even one fits')
  t.same(owner.latestDelta(a, 100_000), owner.deltaSince(a, 0), 'all of them')
})

t.test('X-35: keys of any name are inert; bad ones and too long ones are refused', async (t) => {
  const owner = new MetadataStore(a, 0)
  for (const key of ['__proto__', 'constructor', 'toString', '☂']) owner.set(key, `${key}!`)
  t.equal(owner.get(a, '__proto__'), '__proto__!')
  t.equal(({} as Record<string, unknown>)['toString!'], undefined)
  const other = new MetadataStore(id('b'), 0)
  take(other, owner.deltaSince(a, 0))
  t.same(pairs(other), pairs(owner))
  t.equal(Object.getPrototypeOf(other.entriesOf(a)[0]), Object.prototype)
  t.notOk('__proto__!' in Object.prototype || 'constructor!' in Object.prototype)
  for (const key of ['', 'a\u0000b', 'a\nb', '\ud800', 'x'.repeat(129), '☂'.repeat(43)]) {
    t.throws(() => owner.set(key, ''), /^key: /)
  }
  for (const value of ['x'.repeat(513), '\udc00', 7 as unknown as string]) {
    t.throws(() => owner.set('k', value), /^value: /)
  }
})

t.test('X-35: what an owner holds is bounded, and refused beyond it', async (t) => {
  const owner = new MetadataStore(a, 0)
  for (let i = 0; i < 64; i++) owner.set(`k${i}`, '')
  t.throws(() => owner.set('one more', ''), /^metadata: /)
  owner.set('k1', 'changed')
  owner.delete('k0')
  owner.set('one more', '')
  t.equal(owner.entriesOf(a).length, 64)
  const wide = new MetadataStore(a, 0)
  for (let i = 0; i < 31; i++) wide.set(`k${i}`, 'v'.repeat(512))
  t.throws(() => wide.set('k31', 'v'.repeat(512)), /^metadata: /)
  t.equal(wide.entriesOf(a).length, 31, 'nothing has changed')
})

t.test('X-36: deltas that no owner makes change nothing', async (t) => {
  const owner = new MetadataStore(a, 10)
  owner.set('k', 'v')
  const sound = owner.deltaSince(a, 0) as MetadataDelta
  const entry = { key: 'k', value: 'v', version: 11 }
  const bad: Partial<MetadataDelta>[] = [
    { floor: 12 },
    { from: 12 },
    { version: 10 },
    { version: Number.MAX_SAFE_INTEGER },
    { entries: [entry, { ...entry, version: 11 }] },
    { entries: [{ ...entry, version: 5 }] },
    { entries: [{ ...entry, key: '' }] },
    { entries: [{ ...entry, value: 'v'.repeat(513) }] },
    { version: 20, entries: [entry, { ...entry, version: 12 }] },
    {
      version: 200,
      entries: Array.from({ length: 65 }, (_, i) => ({ key: `${i}`, value: '', version: 11 + i }))
    },
    { owner: id('b') }
  ]
  for (const change of bad) {
    const other = new MetadataStore(id('b'), 0)
    t.equal(other.apply({ ...sound, ...change }, []), 'refused', JSON.stringify(change))
    t.same(other.entriesOf(a), [])
  }
})

t.test('a new life goes above the old one, whatever the others remember', async (t) => {
  const before = new MetadataStore(a, 1_000)
  before.set('old', '1')
  before.set('kept', '1')
  const other = new MetadataStore(id('b'), 0)
  take(other, before.deltaSince(a, 0))
  const after = new MetadataStore(a, 500)
  after.set('kept', '2')
  t.equal(after.maybeOutdo(400), false)
  t.equal(after.maybeOutdo(2 ** 52), false, 'nobody pushes it to the end of numbers')
  t.equal(after.maybeOutdo(other.versionOf(a)), true)
  t.same(take(other, after.deltaSince(a, other.versionOf(a))), [
    { nodeId: a, key: 'old', value: null, version: 1_002 },
    { nodeId: a, key: 'kept', value: '2', version: 1_003 }
  ])
  const restored = new MetadataStore(a, 5)
  restored.restore(before.versionOf(a) + 100, before.entriesOf(a))
  t.same(pairs(restored), [
    ['kept', '1'],
    ['old', '1']
  ])
  t.ok(restored.versionOf(a) > before.versionOf(a) + 100)
})

t.test('by whatever way deltas come, the same version means the same pairs', async (t) => {
  const random = SplittableRandom.fromSeed(11)
  for (let run = 0; run < someOf(60); run++) {
    const owner = new MetadataStore(a, 0)
    const twin = new Map<string, string>()
    const others = [id('b'), id('c'), id('d')].map((name) => new MetadataStore(name, 0))
    const byVersion = new Map<number, string>()
    for (let step = 0; step < 120; step++) {
      const key = `k${random.nextInt(80)}`
      if (random.nextInt(3) === 0) {
        t.equal(owner.delete(key) !== null, twin.delete(key)) || t.bailout('deletes differ')
      } else if (twin.has(key) || twin.size < 64) {
        owner.set(key, `${step}`)
        twin.set(key, `${step}`)
      }
      if (random.nextInt(40) === 0) owner.maybeOutdo(owner.versionOf(a) + 10)
      byVersion.set(owner.versionOf(a), JSON.stringify(pairs(owner)))
      const to = others[random.nextInt(3)] as MetadataStore
      const from = [owner, ...others][random.nextInt(4)] as MetadataStore
      const since =
        random.nextInt(4) === 0 ? random.nextInt(owner.versionOf(a) + 1) : to.versionOf(a)
      const delta = from.deltaSince(a, since)
      if (delta === null) continue
      if (to.apply(delta, []) !== 'applied') continue
      const held = byVersion.get(to.versionOf(a))
      t.equal(JSON.stringify(pairs(to)), held) || t.bailout(`run ${run}, step ${step}`)
    }
    t.same(new Map(pairs(owner) as [string, string][]), twin) || t.bailout('the owner is wrong')
    for (const other of others) {
      take(other, owner.deltaSince(a, other.versionOf(a)))
      t.same(pairs(other), pairs(owner)) || t.bailout('not converged')
    }
  }
})
