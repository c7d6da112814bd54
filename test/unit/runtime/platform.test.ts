import { Worker } from 'node:worker_threads'
import t from 'tap'
import { after, InvalidArgumentError, NEVER } from '../../../src/core/index.js'
import {
  formatAddress,
  nodeClock,
  nodeCrypto,
  nodeLogger,
  nodeRandom,
  parseAddress
} from '../../../src/runtime/index.js'

const hex = (text: string) => Buffer.from(text, 'hex')

t.test('a timer fires once, not before its time, never synchronously', async (t) => {
  const clock = nodeClock()
  for (const waitMs of [-5, 0, 0.3, 1.7, 12.4]) {
    const at = after(clock.now(), waitMs)
    let isSynchronous = true
    const fired = new Promise<boolean>((resolve) => {
      clock.schedule(at, () => resolve(isSynchronous))
    })
    isSynchronous = false
    t.equal(await fired, false)
    t.ok(clock.now() >= at, `${waitMs} ms`)
  }
})

t.test('a cancelled timer and one at the end of time do not fire', async (t) => {
  const clock = nodeClock()
  const fail = () => t.fail('fired')
  clock.schedule(after(clock.now(), 1), fail).cancel()
  const never = clock.schedule(NEVER, fail)
  const far = clock.schedule(after(clock.now(), 1e13), fail)
  await new Promise<void>((resolve) => {
    clock.schedule(after(clock.now(), 10), resolve)
  })
  never.cancel()
  far.cancel()
  t.pass('none fired')
})

t.test('all threads see the same monotonic time', async (t) => {
  const clock = nodeClock()
  const module = new URL('../../../src/runtime/node-clock.js', import.meta.url).href
  const source = `import(${JSON.stringify(module)}).then(({ nodeClock }) =>
    require('node:worker_threads').parentPort.postMessage(nodeClock().now()))`
  const before = clock.now()
  const worker = new Worker(source, { eval: true, execArgv: [] })
  t.teardown(() => worker.terminate())
  const there = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  t.ok(there > before - 1 && there < clock.now() + 1, `${before} ${there} ${clock.now()}`)
})

t.test('AES-256-GCM answers the published vector', async (t) => {
  // McGrew and Viega, The Galois/Counter Mode of Operation, test case 16.
  const crypto = nodeCrypto()
  const key = hex('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308')
  const nonce = hex('cafebabefacedbaddecaf888')
  const aad = hex('feedfacedeadbeeffeedfacedeadbeefabaddad2')
  const plaintext = hex(
    'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72' +
      '1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39'
  )
  const sealed = crypto.seal(key, nonce, aad, plaintext)
  t.equal(
    Buffer.from(sealed).toString('hex'),
    '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa' +
      '8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662' +
      '76fc6ece0f4e1768cddf8853bb2d551b'
  )
  t.same(crypto.open(key, nonce, aad, sealed), plaintext)
  for (const at of [0, sealed.length - 1]) {
    const damaged = Uint8Array.from(sealed)
    damaged[at] = (damaged[at] ?? 0) ^ 1
    t.equal(crypto.open(key, nonce, aad, damaged), null)
  }
  t.equal(crypto.open(key, nonce, hex(''), sealed), null)
  t.equal(crypto.open(key, nonce, aad, sealed.subarray(0, 15)), null)
})

t.test('HKDF and SHA-256 answer the published vectors', async (t) => {
  const crypto = nodeCrypto()
  // RFC 5869, test case 3: no salt, no info.
  const derived = crypto.deriveKey(hex('0b'.repeat(22)), new Uint8Array(0), '', 42)
  t.equal(
    Buffer.from(derived).toString('hex'),
    '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8'
  )
  t.equal(
    Buffer.from(crypto.sha256(Buffer.from('abc'))).toString('hex'),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
  )
  t.equal(crypto.randomBytes(32).length, 32)
  t.notSame(crypto.randomBytes(32), crypto.randomBytes(32))
})

t.test('two generators draw differently', async (t) => {
  const draw = () => {
    const random = nodeRandom()
    return [random.nextUint32(), random.nextUint32(), random.nextUint32()]
  }
  t.notSame(draw(), draw())
})

t.test('addresses are read and written, IPv6 in brackets', async (t) => {
  t.same(parseAddress('db.example:7946'), { host: 'db.example', port: 7946 })
  t.same(parseAddress('[::1]:0'), { host: '::1', port: 0 })
  t.equal(formatAddress('::1', 80), '[::1]:80')
  t.equal(formatAddress('10.0.0.1', 80), '10.0.0.1:80')
  for (const wrong of ['', 'host', ':1', 'host:', 'host:x', 'host:65536', 'host:-1', '[]:1']) {
    t.throws(() => parseAddress(wrong), InvalidArgumentError, JSON.stringify(wrong))
  }
})

t.test('a silent logger has the shape of one', async (t) => {
  const logger = nodeLogger({ level: 'silent', bindings: { node: 'a' }, fileDescriptor: 2 })
  logger.child({ room: 'x' }).error({ error: new Error('x') }, 'unheard')
  t.type(logger.info, 'function')
})
