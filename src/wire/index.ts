export { ByteReader } from './byte-reader.js'
export { ByteWriter } from './byte-writer.js'
export { Catalogue, isRequest } from './catalogue.js'
export {
  bool,
  bytes,
  type Codec,
  clientId,
  clusterId,
  f64,
  groupId,
  i64,
  incarnation,
  list,
  logIndex,
  mapped,
  nodeId,
  nullable,
  oneOf,
  openStruct,
  replicaId,
  serial,
  storageId,
  struct,
  type TypeOf,
  term,
  text,
  u8,
  u16,
  u32,
  u64,
  union
} from './codec.js'
export {
  type AnyDeclaration,
  declareMessage,
  declareRequest,
  type MessageDeclaration,
  type RequestDeclaration,
  type SenderRole
} from './declaration.js'
