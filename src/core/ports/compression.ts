/** Raw DEFLATE (RFC 1951), at once: a message keeps its place in the queue. */
export interface Compression {
  deflate(bytes: Uint8Array): Uint8Array
  /** Null: damaged, or more than `sizeBytesMax` bytes would come out; no more are ever made. */
  inflate(bytes: Uint8Array, sizeBytesMax: number): Uint8Array | null
}
