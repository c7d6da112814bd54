import t from 'tap'
import { declaredCatalogue } from '../../../../lib/catalogue.js'
import { inspect } from '../../../../lib/index.js'
import type { GossipKeysReport } from '../../../../src/core/index.js'
import { keyIdOf } from '../../../../src/network/security/datagram-header.js'
import { install, remove, ringOfKeys, use } from '../../../../src/network/security/key-ring.js'
import {
  carriedKeyRing,
  compareSecurity,
  writeKeyRing
} from '../../../../src/network/security/messages.js'
import { nodeCrypto } from '../../../../src/runtime/node-crypto.js'
import {
  ByteWriter,
  defineMessage,
  encodeMessage,
  type MessageDeclaration,
  openStruct,
  toPlain
} from '../../../../src/wire/index.js'
import { groupKey } from '../membership/driver-world.js'
import { type SecureNode, SecurityWorld } from './security-world.js'

function frameOf<Body>({ number, codec }: MessageDeclaration<Body>, body: Body): Uint8Array {
  const writer = new ByteWriter(1 << 16)
  const ends = { source: 1, destination: 2, messageId: 7, timestamp: 0 }
  encodeMessage(writer, { version: 1, flags: 0, type: number, ...ends }, {}, codec, body)
  return writer.take()
}

type Three = [SecureNode, SecureNode, SecureNode]

const crypto = nodeCrypto()
const nameOf = (key: Uint8Array): string => keyIdOf(crypto, key).toString(16).padStart(8, '0')
const first = nameOf(groupKey)
const otherKey = new Uint8Array(32).fill(9)
const other = nameOf(otherKey)
const hexOf = (key: Uint8Array): string => Buffer.from(key).toString('hex')

t.test('the verbs on one ring: idempotent, and refused where they would deafen', async (t) => {
  const ring = ringOfKeys(crypto, [groupKey])
  const key = { id: keyIdOf(crypto, otherKey), bytes: otherKey, rotates: false }
  const changed = install(ring, key, 'a')
  if (changed.kind !== 'changed') throw new Error('not installed')
  t.match(changed.ring, { version: 2, writer: 'a', primary: ring.primary, rotating: null })
  t.same(install(changed.ring, key, 'a'), { kind: 'same' })
  t.match(use(ring, key.id, 'a'), { kind: 'refused', reason: /not installed/ })
  t.match(remove(ring, ring.primary, 'a'), { kind: 'refused', reason: /primary/ })
  t.same(remove(ring, key.id, 'a'), { kind: 'same' })
  const used = use(changed.ring, key.id, 'b')
  if (used.kind !== 'changed') throw new Error('not used')
  t.match(used.ring, { version: 3, writer: 'b', primary: key.id })
  t.match(remove(used.ring, ring.primary, 'b'), {
    kind: 'changed',
    ring: { version: 4, ids: [key.id], keys: [otherKey] }
  })
})

t.test('the number of keys is bounded', async (t) => {
  let ring = ringOfKeys(crypto, [groupKey])
  for (let i = 0; i < 7; i++) {
    const bytes = new Uint8Array(32).fill(100 + i)
    const outcome = install(ring, { id: keyIdOf(crypto, bytes), bytes, rotates: false }, 'a')
    if (outcome.kind !== 'changed') throw new Error(`key ${i}`)
    ring = outcome.ring
  }
  const one = { id: keyIdOf(crypto, otherKey), bytes: otherKey, rotates: false }
  t.match(install(ring, one, 'a'), { kind: 'refused', reason: /8 keys/ })
})

t.test('X-49 install, use, remove: every datagram of the window is understood', async (t) => {
  const world = new SecurityWorld(t)
  const nodes = (await world.secured(3)) as Three
  const [a, b, c] = nodes
  const received = () => nodes.map(({ driver }) => driver.counters.datagrams_received)
  const step = async (what: string, change: Promise<GossipKeysReport>) => {
    const report = await world.clock.settle(change)
    t.match(report, { nodes: 3, responses: 3, errors: [] }, what)
    const before = received()
    await world.clock.advance(5_000)
    for (const [i, count] of received().entries()) t.ok(count > (before[i] ?? 0), `${what}: heard`)
    t.equal(world.refusedDatagrams(), 0, `${what}: no datagram was refused`)
    return report
  }
  const installed = await step('install', a.security.installKey({ rotates: true }))
  const next = installed.keys.find(({ isPrimary }) => !isPrimary)?.id as string
  t.match(installed, { primary: first, rotating: next, version: 2 })
  t.match(installed.keys, [
    { id: first, installed: 3, used: 3 },
    { id: next, installed: 3, used: 0 }
  ])
  const used = await step('use', b.security.useKey(next))
  t.match(used, {
    primary: next,
    keys: [
      { id: first, used: 0 },
      { id: next, used: 3 }
    ]
  })
  const removed = await step('remove', c.security.removeKey(first))
  t.match(removed, { primary: next, rotating: null, version: 4 })
  t.same(removed.keys, [{ id: next, isPrimary: true, installed: 3, used: 3 }])
  t.ok(world.isConverged(), 'nobody was lost')
  t.match(await world.clock.settle(a.security.listKeys()), removed)
  t.same(
    await world.clock.settle(b.security.removeKey(first)),
    removed,
    'removing it again changes nothing'
  )
  t.equal(b.security.metrics().gossip_keys_current, 1)
})

t.test('no key shows in logs, events, metrics or inspected messages', async (t) => {
  const world = new SecurityWorld(t)
  const nodes = (await world.secured(3)) as Three
  const [a, b] = nodes
  const report = await world.clock.settle(a.security.installKey({ key: hexOf(otherKey) }))
  await world.clock.advance(1_000)
  const again = await world.clock.settle(b.security.useKey(other))
  const told = nodes.map(({ told, security }) => [told, security.metrics()])
  t.match(again, { primary: other, errors: [] })
  t.ok(
    nodes.every((node) => node.told.length > 0),
    'something was told'
  )
  const ring = { version: 2, writer: 'a', primary: 1, rotating: null, keys: [groupKey, otherKey] }
  const frames = [
    frameOf(writeKeyRing, { token: 1, keyRing: ring }),
    frameOf(compareSecurity.response, { lists: [], keyRing: ring })
  ]
  const seen = frames.flatMap((frame) => [
    inspect(frame),
    inspect(frame.subarray(0, -1)),
    inspect(Buffer.concat([frame, frame]))
  ])
  for (const { frames: shown } of seen) {
    for (const one of shown) t.match(one, { body: null, bodyHex: '', fault: /secret|announced/ })
  }
  t.match(seen[0]?.frames[0], { name: 'WriteKeyRing', fault: 'it is secret' })
  const text = JSON.stringify(toPlain([world.logged, told, report, again, seen]))
  for (const key of [groupKey, otherKey]) {
    const bytes = Buffer.from(key)
    for (const form of [bytes.toString('hex'), bytes.toString('base64'), [...key].join()]) {
      t.notOk(text.toLowerCase().includes(form.slice(0, 20).toLowerCase()), form.slice(0, 8))
    }
  }
})

t.test('every message that carries keys is secret', async (t) => {
  const keys = JSON.stringify(carriedKeyRing.spec)
  const carriers = declaredCatalogue()
    .all()
    .filter(({ codec }) => JSON.stringify(codec.spec).includes(keys))
  t.same(
    carriers.map(({ name, secret }) => [name, secret]),
    [
      ['CompareSecurityResponse', true],
      ['WriteKeyRing', true]
    ]
  )
  const own = { number: 0xf001, name: 'Own', body: openStruct({}) }
  t.throws(() => defineMessage({ ...own, secret: true, compress: true }), /^secret: /)
  t.equal(defineMessage({ ...own, secret: true }).secret, true)
})

t.test('X-49 what may not be done is refused', async (t) => {
  const world = new SecurityWorld(t)
  const [a, b] = (await world.secured(3)) as Three
  const refused = 'ERR_SKEIN_KEY_CHANGE_REFUSED'
  t.equal(await world.outcome(a.security.removeKey(first)), refused, 'the primary')
  t.equal(
    await world.outcome(a.security.removeKey(first, { force: true })),
    refused,
    'not by force'
  )
  t.equal(await world.outcome(a.security.useKey(other)), refused, 'not installed')
  t.equal(await world.outcome(a.security.useKey('nonsense')), 'ERR_SKEIN_INVALID_ARGUMENT')
  t.equal(await world.outcome(a.security.installKey({ key: 'ab' })), 'ERR_SKEIN_INVALID_ARGUMENT')
  await world.clock.settle(a.security.installKey({ rotates: true }))
  t.equal(
    await world.outcome(b.security.installKey({ rotates: true })),
    refused,
    'a second rotation while one is under way'
  )
  t.equal(b.security.metrics().gossip_key_changes_refused, 1)
})

t.test('X-49 two changes at once: one after the other, or refused', async (t) => {
  const world = new SecurityWorld(t)
  const nodes = (await world.secured(3)) as Three
  const keys = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill))
  const outcomes = await world.clock.settle(
    Promise.allSettled(
      nodes.map(({ security }, i) => security.installKey({ key: hexOf(keys[i] as Uint8Array) }))
    )
  )
  const done = outcomes.filter(({ status }) => status === 'fulfilled').length
  t.ok(done <= 1, `${done} of three got the lock of a majority`)
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') t.equal(outcome.reason.code, 'ERR_SKEIN_KEY_CHANGE_REFUSED')
  }
  for (const { security } of nodes)
    await world.outcome(security.installKey({ key: hexOf(keys[2] as Uint8Array) }))
  await world.clock.advance(35_000)
  const reports = await Promise.all(
    nodes.map(({ security }) => world.clock.settle(security.listKeys()))
  )
  for (const report of reports) {
    t.same(report, reports[0], 'all have the same ring')
    for (const key of report.keys) t.equal(key.installed, 3, `${key.id} everywhere`)
  }
  t.equal(world.refusedDatagrams(), 0)
})

t.test(
  'X-49 with a member down: reported incomplete, refused, forced; it catches up',
  async (t) => {
    const world = new SecurityWorld(t)
    const [a, b, c] = (await world.secured(3)) as Three
    await world.crash(c)
    await world.clock.until(
      () =>
        a.driver.members().some(({ nodeId, liveness }) => nodeId === 'n2' && liveness === 'dead'),
      60_000
    )
    const installed = await world.clock.settle(a.security.installKey({ key: hexOf(otherKey) }))
    t.match(installed, { nodes: 3, responses: 2, errors: [{ nodeId: 'n2' }] }, 'incomplete')
    const refusal = await world.clock.settle(a.security.useKey(other).catch((error) => error))
    t.match(refusal, { code: 'ERR_SKEIN_KEY_CHANGE_REFUSED', details: { missing: ['n2'] } })
    await world.clock.settle(a.security.useKey(other, { force: true }))
    t.equal(await world.outcome(a.security.removeKey(first)), 'ERR_SKEIN_KEY_CHANGE_REFUSED')
    await world.clock.settle(b.security.removeKey(first, { force: true }))

    const again = await world.secure('n2', { disk: c.disk })
    await world.join(again, [a])
    await world.clock.until(() => world.isConverged(), 20_000)
    t.match(again.told, [{ type: 'GossipKeysChanged', primary: other, keys: [other] }])
    t.equal(again.security.metrics().gossip_keys_fetched, 1, 'fetched over the stream')
    await world.clock.advance(10_000)
    const before = again.driver.counters.datagrams_received
    await world.clock.advance(5_000)
    t.ok(again.driver.counters.datagrams_received > before, 'it hears the others')

    await world.crash(again)
    const third = await world.secure('n2', { disk: c.disk })
    t.match(
      await world.clock.settle(third.security.listKeys()),
      { primary: other },
      'from its disk'
    )
  }
)

t.test('without a majority nothing is changed, unless forced', async (t) => {
  const world = new SecurityWorld(t)
  const [a, b, c] = (await world.secured(3)) as Three
  await world.crash(b)
  await world.crash(c)
  const refusal = await world.clock.settle(
    a.security.installKey({ key: hexOf(otherKey) }).catch((error) => error)
  )
  t.match(refusal, { code: 'ERR_SKEIN_NO_QUORUM', details: { missing: ['n1', 'n2'] } })
  const forced = await world.clock.settle(
    a.security.installKey({ key: hexOf(otherKey), force: true })
  )
  t.match(forced, { nodes: 3, responses: 1 })
})

t.test('a coordinator that dies leaves a lock that ends by itself', async (t) => {
  const world = new SecurityWorld(t)
  const [a, b, c] = (await world.secured(3)) as Three
  const dying = a.security.installKey({ key: hexOf(otherKey) })
  dying.catch(() => {})
  await world.clock.advance(1.5)
  await world.crash(a)
  t.equal(await world.outcome(b.security.installKey()), 'ERR_SKEIN_KEY_CHANGE_REFUSED')
  await world.clock.advance(10_000)
  t.match(await world.clock.settle(c.security.installKey()), { nodes: 3, responses: 2 })
})

t.test('X-52 a disk that is full during a key write: never half a ring', async (t) => {
  const world = new SecurityWorld(t)
  const [a, b, c] = (await world.secured(3)) as Three
  await world.clock.settle(a.security.installKey({ key: hexOf(otherKey) }))
  const before = b.disk.files.get('security/keyring')
  b.disk.fullAfterBytes = 20
  const report = await world.clock.settle(a.security.installKey())
  t.match(report, { responses: 2, errors: [{ nodeId: 'n1', code: 'ERR_SKEIN_DISK_FAILED' }] })
  t.same(b.disk.files.get('security/keyring'), before, 'what was there is still there')
  b.disk.fullAfterBytes = Number.POSITIVE_INFINITY
  await world.crash(b)
  const again = await world.secure('n1', { disk: b.disk })
  t.match(await world.clock.settle(again.security.listKeys()), { version: 2 })
  await world.join(again, [c])
  await world.clock.advance(2_000)
  t.match(await world.clock.settle(again.security.listKeys()), { version: 3 }, 'and catches up')
})

t.test(
  'a damaged ring on disk is left out, the key file counts, the rest is fetched',
  async (t) => {
    const world = new SecurityWorld(t)
    const [a, b, c] = (await world.secured(3)) as Three
    await world.clock.settle(a.security.installKey({ key: hexOf(otherKey) }))
    await world.clock.settle(a.security.useKey(other))
    await world.crash(c)
    const kept = c.disk.files.get('security/keyring') as Uint8Array
    c.disk.files.set('security/keyring', kept.with(10, (kept[10] as number) ^ 1))
    const again = await world.secure('n2', { disk: c.disk })
    t.match(await world.clock.settle(again.security.listKeys()), { primary: first, version: 1 })
    await world.join(again, [b])
    await world.clock.until(() => world.isConverged(), 20_000)
    t.match(await world.clock.settle(again.security.listKeys()), { primary: other, version: 3 })
  }
)
