export { BufferPool, largeBufferBytes } from './buffer-pool.js'
export { ByteReader } from './byte-reader.js'
export { ByteWriter } from './byte-writer.js'
export { Catalogue, conflictsOf, isRequest } from './catalogue.js'
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
  shortGroupId,
  struct,
  type TypeOf,
  term,
  text,
  u8,
  u16,
  u32,
  u64,
  union,
  varint,
  varint53
} from './codec.js'
export { type CodecSpec, type IdFormat, type MemberSpec, shapeOf } from './codec-spec.js'
export {
  type BodyCodec,
  type CustomDeclaration,
  type CustomMessage,
  type CustomRequest,
  customCodec,
  defineMessage,
  defineRequest,
  isCustom
} from './custom-messages.js'
export {
  type AnyDeclaration,
  declareMessage,
  declareRequest,
  directionOf,
  firstCustomNumber,
  type MessageDeclaration,
  type RequestDeclaration,
  type SenderRole
} from './declaration.js'
export { errorFacts } from './error-facts.js'
export {
  type DeliveryLane,
  DeliveryLanes,
  type DeliveryTag,
  type Extension,
  ExtensionTags,
  readExtension,
  traceContextBytes,
  writeExtension
} from './extension.js'
export {
  beginFrame,
  checkFrameLength,
  endFrame,
  type Frame,
  FrameFlags,
  type FrameHeader,
  priorityOf,
  readFrame
} from './frame.js'
export { FrameParser, type IsDivisible } from './frame-parser.js'
export { HybridClock, hybridToWall } from './hybrid-clock.js'
export {
  type FrameInspection,
  formatInspection,
  formatInspections,
  type Inspection,
  inspect,
  inspectFrame,
  toPlain
} from './inspect.js'
export {
  type AssembledMessage,
  encodedMessageRoomBytes,
  encodeMessage,
  type PackBody,
  Reassembler,
  type ReassemblerLimits
} from './message-frames.js'
export { isResponse, type MessageLike, messageType } from './message-kind.js'
export { schema } from './schema.js'
export {
  columnsMax,
  encodedSizeOf,
  parametersMax,
  sqlValue,
  statement,
  statementResult,
  statementsMax,
  utf8Length
} from './sql-values.js'
export { storageId } from './storage-id-codec.js'
