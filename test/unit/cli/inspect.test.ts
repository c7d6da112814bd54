import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { NodeId } from '../../../src/core/index.js'
import { metadataSupply, PacketWriter } from '../../../src/network/membership/messages.js'
import { DatagramSealer } from '../../../src/network/security/datagram-sealer.js'
import { nodeCompression, nodeCrypto } from '../../../src/runtime/index.js'
import { ByteWriter, encodeMessage } from '../../../src/wire/index.js'
import { skein } from '../../support/run-skein.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

/** The Ping of docs/wire.md, section 8. */
const ping = '00000020010000030000000000000000 00062f3f95a000000000000000000000 00000005'

t.test('skein inspect shows frames in hex or from a file', async (t) => {
  const shown = await skein('inspect', ping)
  t.match(shown, { status: 0, stdout: /Ping \(0x0003\), message 0, 36 bytes/ })
  t.match(shown.stdout, /body \{"token":5\}/)
  const file = join(await temporaryDirectory(t), 'frames.bin')
  const bytes = Buffer.from(ping.replaceAll(' ', ''), 'hex')
  await writeFile(file, Buffer.concat([bytes, bytes, Buffer.of(0)]))
  const json = await skein('inspect', file, '--json')
  t.match(json, { status: 1, stderr: /not all of it is frames/ })
  t.match(JSON.parse(json.stdout), {
    frames: [{ name: 'Ping', body: { token: 5 } }, {}],
    restHex: '00'
  })
  t.match(await skein('inspect', 'nowhere.bin'), {
    status: 2,
    stderr: /neither hex digits nor a file/
  })
  t.match(await skein('inspect', 'ff00'), { status: 1, stderr: /neither a frame nor a datagram/ })
})

t.test('skein inspect inflates a compressed message', async (t) => {
  const { number, codec } = metadataSupply
  const owners = ['n1', 'n2', 'n3'].map((name) => name as NodeId)
  const entries = [{ key: 'zone', value: 'z'.repeat(500), version: 7 }]
  const deltas = owners.map((owner) => ({ owner, floor: 0, from: 0, version: 7, entries }))
  const writer = new ByteWriter(1 << 16)
  const header = { version: 1, flags: 0, type: number, messageId: 9, timestamp: 0 }
  const pack = (bytes: Uint8Array) => nodeCompression().deflate(bytes)
  const indexes = { source: 1, destination: 2 }
  const body = { clusterId: null, deltas }
  encodeMessage(writer, { ...header, ...indexes }, null, codec, body, pack)
  const file = join(await temporaryDirectory(t), 'captured.bin')
  await writeFile(file, writer.peek())
  t.match(await skein('inspect', file), {
    status: 0,
    stdout: /MetadataSupply[\s\S]*flags compressed[\s\S]*inflated[\s\S]*"n3"[\s\S]*zzz/
  })
})

t.test('skein inspect opens a sealed datagram with the key file', async (t) => {
  const dir = await temporaryDirectory(t)
  await skein('certs', 'init', '--dir', dir, '--cluster', 'flock')
  const keyFile = join(dir, 'gossip.key')
  const key = Buffer.from((await readFile(keyFile, 'utf8')).trim(), 'hex')
  const sender = { nodeId: 'a' as NodeId, clusterName: 'flock', gossipKeys: [key] }
  const payload = new PacketWriter().write(null, [{ kind: 'ack', sequence: 6 }])
  const sealed = new DatagramSealer(nodeCrypto(), sender, 1_700_000_000_000).seal(payload)
  const file = join(dir, 'datagram.bin')
  await writeFile(file, sealed)
  const opened = await skein('inspect', file, '--key-file', keyFile, '--cluster', 'flock')
  t.match(opened, { status: 0, stdout: /sealed datagram of a,[\s\S]*"sequence":6/ })
  t.match(await skein('inspect', file, '--cluster', 'flock'), {
    status: 1,
    stdout: /datagram of a/,
    stderr: /--key-file/
  })
  t.match(await skein('inspect', file, '--key-file', keyFile), { status: 1, stderr: /--cluster/ })
})
