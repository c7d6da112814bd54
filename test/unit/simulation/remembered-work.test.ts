import t from 'tap'
import type { Compression, Crypto } from '../../../src/core/index.js'
import { nodeCompression, nodeCrypto } from '../../../src/runtime/index.js'
import {
  rememberingCompression,
  rememberingCrypto
} from '../../../src/simulation/remembered-work.js'

const key = new Uint8Array(32).fill(7)
const nonce = new Uint8Array(12).fill(1)
const aad = Uint8Array.of(1, 2, 3)
const text = new TextEncoder().encode('a datagram')

t.test('what was sealed is opened without the cipher, and nothing else is', async (t) => {
  let opened = 0
  const cipher = nodeCrypto()
  const counted: Crypto = {
    ...cipher,
    open: (...args) => {
      opened++
      return cipher.open(...args)
    }
  }
  const crypto = rememberingCrypto(counted)
  const sealed = crypto.seal(key, nonce, aad, text)
  t.same(sealed, cipher.seal(key, nonce, aad, text))

  const plain = crypto.open(key, nonce, aad, sealed)
  t.same([...(plain ?? [])], [...text])
  t.equal(opened, 0)
  plain?.fill(0)
  t.same([...(crypto.open(key, nonce, aad, sealed) ?? [])], [...text], 'each receiver has its own')

  const flipped = (bytes: Uint8Array, at: number) => bytes.map((b, i) => (i === at ? b ^ 1 : b))
  for (let at = 0; at < sealed.length; at++) {
    t.equal(crypto.open(key, nonce, aad, flipped(sealed, at)), null, `byte ${at} of the datagram`)
  }
  t.equal(crypto.open(key, nonce, flipped(aad, 2), sealed), null)
  t.equal(crypto.open(key, flipped(nonce, 11), aad, sealed), null)
  for (const at of [0, 31]) t.equal(crypto.open(flipped(key, at), nonce, aad, sealed), null)
  t.equal(opened, sealed.length + 4)
})

t.test('a body is packed once, and unpacked without a look at it', async (t) => {
  let calls = 0
  const real = nodeCompression()
  const counted: Compression = {
    deflate: (bytes) => {
      calls++
      return real.deflate(bytes)
    },
    inflate: (bytes, sizeBytesMax) => {
      calls++
      return real.inflate(bytes, sizeBytesMax)
    }
  }
  const compression = rememberingCompression(counted)
  const body = Uint8Array.from({ length: 5_000 }, (_, i) => i & 15)
  const packed = compression.deflate(body)
  t.same(compression.deflate(body.slice()), packed)
  t.same([...(compression.inflate(packed.slice(), body.length) ?? [])], [...body])
  t.equal(calls, 1)

  const other = body.slice()
  other[2_500] = 99
  t.same([...(real.inflate(compression.deflate(other), body.length) ?? [])], [...other])
  t.equal(calls, 2, 'its ends alone do not make a body')
  t.equal(compression.inflate(packed, body.length - 1), null, 'the bound of the receiver holds')
})

t.test('the oldest are forgotten', async (t) => {
  let opened = 0
  const cipher = nodeCrypto()
  const crypto = rememberingCrypto({
    ...cipher,
    open: (...args) => {
      opened++
      return cipher.open(...args)
    }
  })
  const sealed = crypto.seal(key, nonce, aad, text)
  const later = nonce.slice()
  for (let i = 0; i < 512; i++) {
    later[0] = 2 + (i >> 8)
    later[1] = i & 255
    crypto.seal(key, later, aad, text)
  }
  t.same([...(crypto.open(key, nonce, aad, sealed) ?? [])], [...text])
  t.equal(opened, 1)
})
