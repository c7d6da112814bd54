/** `server|client SUBJECT CERTIFICATE KEY AUTHORITY [PORT]`: one process, driven over IPC. */
import { readFileSync } from 'node:fs'
import { type ClientSample, measureTask, type Task } from './load.js'
import type { BenchPeer, Material } from './peer.js'

const loaders: Readonly<Record<string, () => Promise<BenchPeer>>> = {
  ours: async () => (await import('./ours.js')).ours,
  'node:tls': async () => (await import('./tls.js')).rawTls,
  'http2 stream': async () => (await import('./http2.js')).http2Stream,
  'http2 unary': async () => (await import('./http2.js')).http2Unary,
  'grpc-js unary': async () => (await import('./grpc.js')).grpcUnary,
  'grpc-js bidi': async () => (await import('./grpc.js')).grpcBidi
}

const [role, subject = '', certificateFile = '', keyFile = '', caFile = '', port] =
  process.argv.slice(2)
const load = loaders[subject]
if (load === undefined) throw new Error(`no subject is called ${subject}`)
const peer = await load()
const files = { certificateFile, keyFile, caFile }
const material: Material = {
  certificate: readFileSync(certificateFile, 'utf8'),
  key: readFileSync(keyFile, 'utf8'),
  authority: readFileSync(caFile, 'utf8'),
  files
}
process.on('disconnect', () => process.exit(0))
if (role === 'server') {
  process.on('message', () => process.send?.(cpuMs()))
  process.send?.(await peer.serve(material))
} else {
  const client = await peer.connect(material, Number(port))
  process.on('message', (task: Task) => {
    const before = cpuMs()
    void measureTask(client, task).then((sample) => {
      process.send?.({ ...sample, cpuMs: cpuMs() - before } satisfies ClientSample)
    })
  })
  process.send?.({})
}

/** Of all threads of this process. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
