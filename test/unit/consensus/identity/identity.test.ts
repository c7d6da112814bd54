import t from 'tap'
import { IdentityStore } from '../../../../src/consensus/identity/identity-driver.js'
import { clusterIdOf, selfOf } from '../../../../src/consensus/identity/replica-identity.js'
import {
  CONTROL_GROUP,
  type GroupId,
  type NodeId,
  type ReplicaId
} from '../../../../src/core/ids.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { SimulatedDisk } from '../../../../src/simulation/simulated-disk.js'
import { testCrypto } from '../../../support/test-crypto.js'
import { VirtualClock } from '../../../support/virtual-clock.js'

const a = 'a' as NodeId
const groups = [0, 1, CONTROL_GROUP] as GroupId[]
const founders = ['a/0000000000000001', 'b/0000000000000002'] as ReplicaId[]

function makeStore(seed: number) {
  const random = SplittableRandom.fromSeed(seed)
  const disk = new SimulatedDisk({ clock: new VirtualClock(), random })
  const crypto = testCrypto(random.split('crypto'))
  return { disk, random, crypto, open: () => new IdentityStore({ disk: disk.mount(), crypto }) }
}

t.test('R-P08 a directory keeps its storage id, an empty one gets a new one', async (t) => {
  const { disk, random, open } = makeStore(1)
  const first = await open().open(a, 'skein', false)
  disk.crash(random)
  t.same(await open().open(a, 'skein', true), first)
  disk.wipe()
  const second = await open().open(a, 'skein', false)
  t.not(selfOf(second), selfOf(first))
})

t.test('R-P10 a pledge survives whole or not at all', async (t) => {
  const seen = new Set<boolean>()
  for (let seed = 0; seed < 80; seed++) {
    const { disk, random, open } = makeStore(seed)
    const store = open()
    const before = await store.open(a, 'skein', false)
    let pledged = false
    store.pledge(founders, groups).then(() => {
      pledged = true
    })
    for (let turn = random.nextInt(60); turn > 0; turn--) await null
    disk.crash(random)
    const found = await open().open(a, 'skein', false)
    t.equal(found.storageId, before.storageId)
    if (pledged) t.match(found, { founders, groups })
    else t.ok(found.founders === null || found.founders.length === 2)
    seen.add(found.founders !== null)
  }
  t.equal(seen.size, 2)
})

t.test('a directory of another node or cluster, or a damaged one, is refused', async (t) => {
  const { disk, open } = makeStore(1)
  await open().open(a, 'skein', false)
  const foreign = { code: 'ERR_SKEIN_DATA_DIRECTORY_FOREIGN' }
  await t.rejects(open().open('b' as NodeId, 'skein', true), foreign)
  await t.rejects(open().open(a, 'other', true), foreign)
  const corrupted = { code: 'ERR_SKEIN_LOG_CORRUPTED' }
  disk.rotAt('identity', 30, 0)
  await t.rejects(open().open(a, 'skein', true), corrupted)
  await disk.mount().remove('identity')
  await t.rejects(open().open(a, 'skein', true), corrupted)
})

t.test('all founders mint one cluster id, another founding another', async (t) => {
  const { crypto } = makeStore(1)
  const id = clusterIdOf(crypto, 'skein', founders)
  t.match(id, /^[0-9a-f]{32}$/)
  t.equal(clusterIdOf(crypto, 'skein', [...founders].reverse()), id)
  t.not(clusterIdOf(crypto, 'other', founders), id)
  const wiped = ['a/0000000000000001', 'b/0000000000000003'] as ReplicaId[]
  t.not(clusterIdOf(crypto, 'skein', wiped), id)
})
