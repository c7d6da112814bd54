/**
 * CRC-32C (Castagnoli), slice-by-8: eight tables, eight bytes a step. The tables are built once
 * and never change.
 */
const polynomial = 0x82f63b78
const tables = buildTables()

/** The checksum of `bytes[start, end)`; `seed` continues an earlier one. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length, seed = 0): number {
  const t = tables
  let crc = ~seed
  let at = start
  for (; at + 8 <= end; at += 8) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24))
    crc =
      (t[1792 + (low & 255)] as number) ^
      (t[1536 + ((low >>> 8) & 255)] as number) ^
      (t[1280 + ((low >>> 16) & 255)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (bytes[at + 4] as number)] as number) ^
      (t[512 + (bytes[at + 5] as number)] as number) ^
      (t[256 + (bytes[at + 6] as number)] as number) ^
      (t[bytes[at + 7] as number] as number)
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] as number)) & 255] as number)
  return ~crc >>> 0
}

function buildTables(): Int32Array {
  const built = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    built[byte] = crc
  }
  for (let at = 256; at < built.length; at++) {
    const previous = built[at - 256] as number
    built[at] = (previous >>> 8) ^ (built[previous & 255] as number)
  }
  return built
}
