const POLYNOMIAL = 0x82f63b78

const table: Readonly<Uint32Array> = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) {
    remainder = remainder & 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1
  }
  return remainder
})

/** CRC-32C (Castagnoli), as in RFC 3720 appendix B.4: finds accidents, stops nobody. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let remainder = 0xffff_ffff
  for (let i = start; i < end; i++) {
    const index = (remainder ^ (bytes[i] as number)) & 0xff
    remainder = (remainder >>> 8) ^ (table[index] as number)
  }
  return (remainder ^ 0xffff_ffff) >>> 0
}
