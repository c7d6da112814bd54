import t from 'tap'
import {
  decodeMark,
  encodeMark,
  HeardMarks,
  isOutlived,
  nextMark,
  type StartMark,
  startMarksMax
} from '../../../../src/consensus/rollback/start-mark.js'
import { beginStart, startFile } from '../../../../src/consensus/rollback/start-mark-driver.js'
import type { ReplicaId } from '../../../../src/core/ids.js'
import { silentLogger } from '../../../../src/core/ports/logger.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { SimulatedDisk } from '../../../../src/simulation/simulated-disk.js'
import { testCrypto } from '../../../support/test-crypto.js'
import { VirtualClock } from '../../../support/virtual-clock.js'

const b = 'b/0000000000000002' as ReplicaId
const mark = (count: number, digit = 'a'): StartMark => ({ count, nonce: digit.repeat(16) })

function makeDirectory(seed: number) {
  const random = SplittableRandom.fromSeed(seed)
  const disk = new SimulatedDisk({ clock: new VirtualClock(), random })
  const crypto = testCrypto(random.split('crypto'))
  const start = () => beginStart({ disk: disk.mount(), crypto, logger: silentLogger })
  return { disk, random, start }
}

t.test('R-P14 each start of a directory counts one more, and is durable', async (t) => {
  const { disk, random, start } = makeDirectory(1)
  const first = await start()
  disk.crash(random)
  const second = await start()
  t.match([first, second], [{ count: 1 }, { count: 2 }])
  t.not(first?.nonce, second?.nonce)
})

t.test('R-P14 what a crash leaves of a start is the mark before or its own', async (t) => {
  const counts = new Set<number>()
  for (let seed = 0; seed < 60; seed++) {
    const { disk, random, start } = makeDirectory(seed)
    await start()
    let told: StartMark | null = null
    void start().then((durable) => {
      told = durable
    })
    for (let turn = random.nextInt(40); turn > 0; turn--) await null
    disk.crash(random)
    const { count } = (await start()) as StartMark
    if (told !== null) t.equal(count, 3, `seed ${seed}: it was told`)
    counts.add(count)
  }
  t.same([...counts].sort(), [2, 3])
})

t.test('R-P14 a full disk keeps nobody from starting, under the mark that is there', async (t) => {
  const { disk, start } = makeDirectory(1)
  disk.setCapacityBytes(1)
  t.equal(await start(), null)
  disk.setCapacityBytes(Number.POSITIVE_INFINITY)
  const first = await start()
  disk.setCapacityBytes(1)
  t.same(await start(), first)
  disk.setCapacityBytes(Number.POSITIVE_INFINITY)
  t.match(await start(), { count: 2 })
})

t.test('a damaged mark is refused', async (t) => {
  const { disk, start } = makeDirectory(1)
  await start()
  disk.rotAt(startFile, 20, 1)
  await t.rejects(start(), { code: 'ERR_SKEIN_LOG_CORRUPTED' })
  t.same(decodeMark(encodeMark(mark(7))), mark(7))
})

t.test('R-P14 a later start, or another one under the same count, proves a copy', async (t) => {
  t.ok(isOutlived(mark(2), mark(3)))
  t.ok(isOutlived(mark(2, 'a'), mark(2, 'b')))
  t.notOk(isOutlived(mark(2), mark(2)))
  t.notOk(isOutlived(mark(2, 'a'), mark(1, 'b')), 'an earlier one of the same directory')
})

t.test('R-P14 the highest mark stays, and of two that count alike the first', async (t) => {
  const heard = new HeardMarks()
  t.same(heard.note(b, mark(2)), mark(2))
  t.same(heard.note(b, mark(1, 'c')), mark(2), 'late')
  t.same(heard.note(b, mark(2, 'c')), mark(2), 'a copy')
  t.same(heard.note(b, mark(3)), mark(3))
  t.same(heard.note('b/0000000000000003' as ReplicaId, mark(1)), mark(1), 'another disk')
})

t.test('marks are remembered up to a bound, those heard last', async (t) => {
  const heard = new HeardMarks()
  const replicaOf = (i: number) => `n${i}/0000000000000001` as ReplicaId
  for (let i = 0; i < 2 * startMarksMax; i++) {
    heard.note(b, mark(9))
    heard.note(replicaOf(i), mark(5))
    if (heard.size > startMarksMax) t.fail(`${heard.size} marks`)
  }
  t.same(heard.note(b, mark(1)), mark(9))
  t.same(heard.note(replicaOf(0), mark(1)), mark(1), 'forgotten')
})

/** Processes of one directory one after the other; what each tells comes late, often, unordered. */
t.test('R-P14 no honest start is accused; a copy from before a start is', async (t) => {
  let proven = 0
  for (let seed = 1; seed <= 300; seed++) {
    const random = SplittableRandom.fromSeed(seed)
    const peers = [new HeardMarks(), new HeardMarks()]
    const nonce = () =>
      random
        .nextInt(2 ** 30)
        .toString(16)
        .padStart(16, '0')
    let stored: StartMark | null = null
    const copies: (StartMark | null)[] = []
    const told: StartMark[] = []
    const tell = (own: StartMark): boolean => {
      told.push(own)
      for (let i = random.nextInt(4); i > 0; i--) {
        const late = told[random.nextInt(told.length)] as StartMark
        peers[random.nextInt(2)]?.note(b, late)
      }
      return peers.some((peer) => isOutlived(own, peer.note(b, own)))
    }
    for (let life = 0; life < 8; life++) {
      copies.push(stored)
      stored = nextMark(stored, nonce())
      for (let i = random.nextInt(3); i >= 0; i--) {
        if (tell(stored)) t.fail(`seed ${seed}: an honest start is accused`)
      }
    }
    const copy = copies[random.nextInt(copies.length)] ?? null
    if (tell(nextMark(copy, nonce()))) proven++
    else t.fail(`seed ${seed}: a copy is not noticed`)
  }
  t.equal(proven, 300)
})
