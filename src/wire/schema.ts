import * as codec from './codec.js'

/**
 * The schema language, for an embedder's own messages: `schema.openStruct({ name: schema.text(63)
 * })`. `docs/wire.md`, section 4, says how each looks in bytes.
 */
export const schema = {
  u8: codec.u8,
  u16: codec.u16,
  u32: codec.u32,
  u64: codec.u64,
  i64: codec.i64,
  f64: codec.f64,
  bool: codec.bool,
  text: codec.text,
  bytes: codec.bytes,
  list: codec.list,
  nullable: codec.nullable,
  oneOf: codec.oneOf,
  struct: codec.struct,
  openStruct: codec.openStruct,
  union: codec.union,
  nodeId: codec.nodeId
} as const
