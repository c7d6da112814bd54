import t from 'tap'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { crc32c } from '../../../src/wire/crc32c.js'

/** Bit by bit, as the polynomial is defined. */
function twin(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

t.test('the published check value', async (t) => {
  t.equal(crc32c(new TextEncoder().encode('123456789')), 0xe3069283)
  t.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
  t.equal(crc32c(new Uint8Array(0)), 0)
})

t.test('equals the bitwise twin on any bytes, offsets and continuation', async (t) => {
  const random = SplittableRandom.fromSeed(3)
  let differing = 0
  for (let run = 0; run < 500; run++) {
    const bytes = Uint8Array.from({ length: random.nextInt(200) }, () => random.nextInt(256))
    const cut = random.nextInt(bytes.length + 1)
    const whole = crc32c(bytes)
    const joined = crc32c(bytes, cut, bytes.length, crc32c(bytes, 0, cut))
    if (whole !== twin(bytes) || joined !== whole) differing++
  }
  t.equal(differing, 0)
})
