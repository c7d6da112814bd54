import t from 'tap'
import { type NodeId, SplittableRandom } from '../../../../src/core/index.js'
import { datagramSizeBytesMax } from '../../../../src/core/limits.js'
import { datagramPayloadBytesMax } from '../../../../src/network/security/datagram-header.js'
import { DatagramKeyring } from '../../../../src/network/security/datagram-keyring.js'
import {
  DatagramOpener,
  datagramRefusals,
  type OpenOutcome
} from '../../../../src/network/security/datagram-opener.js'
import { DatagramSealer } from '../../../../src/network/security/datagram-sealer.js'
import { nodeCrypto as platformCrypto } from '../../../../src/runtime/node-crypto.js'
import { crc32c } from '../../../../src/wire/crc32c.js'

const nodeCrypto = platformCrypto()
const a = 'a' as NodeId
const b = 'b' as NodeId
const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const payload = new TextEncoder().encode('who is there')

interface Ends {
  readonly sender?: NodeId
  readonly sealKeys?: readonly Uint8Array[] | null
  readonly openKeys?: readonly Uint8Array[] | null
  readonly sealCluster?: string
  readonly bootNumber?: number
  readonly peersMax?: number
}

function ends(options: Ends = {}): { sealer: DatagramSealer; opener: DatagramOpener } {
  const sealKeys = options.sealKeys === undefined ? [key(1)] : options.sealKeys
  const openKeys = options.openKeys === undefined ? sealKeys : options.openKeys
  const sealer = new DatagramSealer(
    nodeCrypto,
    {
      nodeId: options.sender ?? a,
      clusterName: options.sealCluster ?? 'flock',
      gossipKeys: sealKeys
    },
    options.bootNumber ?? 1_000
  )
  const opener = new DatagramOpener(nodeCrypto, {
    nodeId: b,
    clusterName: 'flock',
    gossipKeys: openKeys,
    peersMax: options.peersMax ?? 16
  })
  return { sealer, opener }
}

const reasonOf = (outcome: OpenOutcome): string =>
  outcome.kind === 'refused' ? outcome.reason : outcome.kind

for (const [mode, keys] of [
  ['sealed', [key(1)]],
  ['plain', null]
] as const) {
  t.test(`${mode}: what was sent is opened once, whatever its length`, async (t) => {
    const { sealer, opener } = ends({ sealKeys: keys })
    for (const length of [0, 1, 500, datagramPayloadBytesMax]) {
      const sent = new Uint8Array(length).fill(length)
      const datagram = sealer.seal(sent)
      t.ok(datagram.length <= datagramSizeBytesMax, 'S-20: within the budget')
      const opened = opener.open(datagram)
      t.match(opened, { kind: 'opened', sender: a })
      t.same(opened.kind === 'opened' && new Uint8Array(opened.payload), sent)
      t.equal(reasonOf(opener.open(datagram)), 'replayed', 'X-28')
    }
    t.throws(() => sealer.seal(new Uint8Array(datagramPayloadBytesMax + 1)), {
      code: 'ERR_SKEIN_MESSAGE_TOO_LARGE'
    })
  })

  t.test(`${mode}: a change of any byte, or any cut, is refused (X-29)`, async (t) => {
    const { sealer, opener } = ends({ sealKeys: keys })
    const datagram = sealer.seal(payload)
    for (let at = 0; at < datagram.length; at++) {
      const bent = datagram.slice()
      bent[at] = (bent[at] as number) ^ 0x41
      t.equal(opener.open(bent).kind, 'refused', `byte ${at}`)
      t.equal(opener.open(datagram.subarray(0, at)).kind, 'refused', `${at} bytes`)
    }
    t.equal(opener.open(new Uint8Array([...datagram, 0])).kind, 'refused', 'a byte too many')
    t.equal(opener.peerCount, 0, 'nothing was remembered of them')
    t.equal(opener.open(datagram).kind, 'opened', 'the datagram itself is good')
  })
}

t.test('the widest sender and the largest payload fill a datagram to the bound', async (t) => {
  const { sealer, opener } = ends({ sender: 'n'.repeat(63) as NodeId })
  const datagram = sealer.seal(new Uint8Array(datagramPayloadBytesMax))
  t.equal(datagram.length, datagramSizeBytesMax)
  t.equal(opener.open(datagram).kind, 'opened')
})

t.test('each refusal has its reason', async (t) => {
  const refusal = (options: Ends, bend = (bytes: Uint8Array) => bytes): string => {
    const { sealer, opener } = ends(options)
    return reasonOf(opener.open(bend(sealer.seal(payload))))
  }
  const told = {
    oversized: refusal({}, () => new Uint8Array(1_500)),
    truncated: refusal({}, (bytes) => bytes.subarray(0, 40)),
    unknownVersion: refusal({}, (bytes) => bytes.with(0, 9)),
    foreignCluster: refusal({ sealCluster: 'other' }),
    wrongKey: refusal({ openKeys: [key(2)] }),
    forged: refusal({}, (bytes) => bytes.with(-1, (bytes.at(-1) as number) ^ 1)),
    reflected: refusal({ sender: b })
  }
  for (const [expected, reason] of Object.entries(told)) t.equal(reason, expected)
  t.equal(
    refusal({}, () => new Uint8Array(0)),
    'truncated'
  )
  t.equal(refusal({ sealKeys: null, openKeys: [key(1)] }), 'wrongKey', 'plain where keys are set')
  t.equal(refusal({ openKeys: null }), 'wrongKey', 'sealed where none are')
  const rest = ['oldBoot', 'replayed']
  t.same([...Object.keys(told), ...rest].sort(), [...datagramRefusals].sort(), 'all are covered')
})

t.test('after a newer boot the older one is not heard, replayed or new (X-28)', async (t) => {
  const { sealer: old, opener } = ends({ bootNumber: 1_000 })
  const { sealer: young } = ends({ bootNumber: 1_001 })
  const { sealer: twin } = ends({ bootNumber: 1_001 })
  const first = old.seal(payload)
  t.equal(opener.open(first).kind, 'opened')
  t.equal(opener.open(young.seal(payload)).kind, 'opened')
  t.equal(reasonOf(opener.open(first)), 'oldBoot')
  t.equal(reasonOf(opener.open(old.seal(payload))), 'oldBoot')
  t.equal(reasonOf(opener.open(twin.seal(payload))), 'oldBoot', 'same number, another boot')
  t.equal(opener.bootNumberOf(a), 1_001)
})

t.test('a node whose clock went back is heard again once it was told', async (t) => {
  const { sealer: before, opener } = ends({ bootNumber: 5_000 })
  const { sealer: after } = ends({ bootNumber: 4_000 })
  opener.open(before.seal(payload))
  t.equal(reasonOf(opener.open(after.seal(payload))), 'oldBoot')
  after.raiseBootNumber(opener.bootNumberOf(a) as number)
  t.equal(after.bootNumber, 5_001)
  t.equal(opener.open(after.seal(payload)).kind, 'opened')
  after.raiseBootNumber(5_001)
  t.equal(after.bootNumber, 5_001, 'its own number is no news')
  after.raiseBootNumber(Number.MAX_SAFE_INTEGER)
  t.equal(after.bootNumber, 5_001, 'an absurd number is not believed')
})

t.test('X-28: swapping the sender in the header is forgery', async (t) => {
  const { sealer, opener } = ends()
  const datagram = sealer.seal(payload)
  const at = datagram.indexOf('a'.charCodeAt(0), 46)
  t.equal(reasonOf(opener.open(datagram.with(at, 'c'.charCodeAt(0)))), 'forged')
})

t.test('keys rotate without a gap: the first seals, all open', async (t) => {
  const { sealer, opener } = ends()
  opener.setKeys([key(1), key(2)])
  t.equal(opener.open(sealer.seal(payload)).kind, 'opened')
  sealer.setKeys([key(2), key(1)])
  const byNewKey = sealer.seal(payload)
  t.equal(opener.open(byNewKey).kind, 'opened')
  t.equal(reasonOf(opener.open(byNewKey)), 'replayed')
  opener.setKeys([key(2)])
  t.equal(opener.open(sealer.seal(payload)).kind, 'opened')
  sealer.setKeys([key(1)])
  t.equal(reasonOf(opener.open(sealer.seal(payload))), 'wrongKey')
})

t.test('a key ring is refused when it cannot be one', async (t) => {
  const refused = { code: 'ERR_SKEIN_INVALID_ARGUMENT' }
  t.throws(() => new DatagramKeyring(nodeCrypto, []), refused)
  t.throws(() => new DatagramKeyring(nodeCrypto, [new Uint8Array(31)]), refused)
  t.throws(() => new DatagramKeyring(nodeCrypto, [key(1), key(1)]), refused)
  t.throws(
    () =>
      new DatagramKeyring(
        nodeCrypto,
        Array.from({ length: 9 }, (_, i) => key(i))
      ),
    refused
  )
})

t.test('the table of senders is bounded: the one unheard longest is forgotten', async (t) => {
  const { opener } = ends({ peersMax: 3 })
  const sealers = ['p', 'q', 'r', 's'].map((name) => ends({ sender: name as NodeId }).sealer)
  const [p, q, , s] = sealers as [DatagramSealer, DatagramSealer, DatagramSealer, DatagramSealer]
  for (const sealer of sealers.slice(0, 3)) opener.open(sealer.seal(payload))
  opener.open(p.seal(payload))
  opener.open(s.seal(payload))
  t.equal(opener.peerCount, 3)
  t.not(opener.bootNumberOf('p' as NodeId), null)
  t.equal(opener.bootNumberOf('q' as NodeId), null)
  t.equal(opener.open(q.seal(payload)).kind, 'opened')
})

t.test('random bytes are refused, never an exception (S-22)', async (t) => {
  const random = SplittableRandom.fromSeed(22)
  const { sealer, opener } = ends()
  const good = sealer.seal(payload)
  const kinds = new Set<string>()
  for (let i = 0; i < 20_000; i++) {
    const isBent = i % 2 === 0
    const bytes = isBent ? good.slice() : new Uint8Array(random.nextInt(1_450))
    if (isBent)
      for (let n = 0; n < 4; n++) bytes[random.nextInt(bytes.length)] = random.nextInt(256)
    else for (let at = 0; at < bytes.length; at++) bytes[at] = random.nextInt(256)
    if (bytes.every((byte, at) => byte === good[at]) && bytes.length === good.length) continue
    kinds.add(opener.open(bytes).kind)
  }
  t.same([...kinds], ['refused'])
  t.equal(opener.peerCount, 0)
})

t.test('the checksum is CRC-32C', async (t) => {
  t.equal(crc32c(new TextEncoder().encode('123456789')), 0xe3069283)
  t.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
  t.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43)
})
