import t from 'tap'
import type { NodeId } from '../../../../src/core/index.js'
import { PacketWriter } from '../../../../src/network/membership/messages.js'
import { DatagramSealer } from '../../../../src/network/security/datagram-sealer.js'
import { inspectDatagram } from '../../../../src/network/security/inspect-datagram.js'
import { nodeCrypto } from '../../../../src/runtime/index.js'

const crypto = nodeCrypto()
const key = new Uint8Array(32).fill(7)
const sender = 'a' as NodeId
const packet = new PacketWriter()
  .write(null, [{ kind: 'ping', sequence: 3, target: 'b' as NodeId }])
  .slice()
const seal = (gossipKeys: readonly Uint8Array[] | null, payload = packet) =>
  new DatagramSealer(crypto, { nodeId: sender, clusterName: 'test', gossipKeys }, 41).seal(payload)
const look = (bytes: Uint8Array, gossipKeys: readonly Uint8Array[] | null, clusterName = 'test') =>
  inspectDatagram(bytes, { crypto, clusterName, gossipKeys })

t.test('a sealed datagram: its header without a key, its parts with it', async (t) => {
  const header = { format: 'sealed', sender: 'a', bootNumber: 41, counter: 0 }
  t.match(look(seal([key]), null), { ...header, packet: null, fault: 'no key given' })
  t.match(look(seal([key]), [key]), {
    ...header,
    fault: null,
    isOurCluster: true,
    packet: { clusterTag: null, messages: [{ kind: 'ping', sequence: 3, target: 'b' }] }
  })
  t.match(look(seal([key]), [new Uint8Array(32)]), { packet: null, fault: 'wrongKey' })
  t.match(look(seal([key]), [key], 'other'), { isOurCluster: false, fault: 'foreignCluster' })
})

t.test('a plain one needs no key; what is no packet, or no datagram, is said', async (t) => {
  t.match(look(seal(null), null), { format: 'plain', packet: { unknownParts: 0 } })
  t.match(look(seal(null, Uint8Array.of(9)), [key]), { packet: null, fault: /flag 9/ })
  const damaged = seal(null)
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1
  t.match(look(damaged, null), { packet: null, fault: 'forged' })
  t.equal(look(Uint8Array.of(1, 2, 3), null), null)
})
