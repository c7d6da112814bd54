/** What two nodes say of messages that are acknowledged: control family, 0x0020 to 0x002F. */
import { ProtocolError } from '../../core/errors.js'
import { Priorities } from '../../core/ports/messenger.js'
import {
  type Codec,
  type DeliveryLane,
  DeliveryLanes,
  declareMessage,
  errorFacts,
  list,
  mapped,
  openStruct,
  struct,
  type TypeOf,
  u8,
  u16,
  u64
} from '../../wire/index.js'
import { acknowledgedRangesMax } from './reliable-receiver.js'

const lane: Codec<DeliveryLane> = mapped(
  u8,
  (value: DeliveryLane) => value,
  (value) => {
    if (value === DeliveryLanes.Acked || value === DeliveryLanes.Ordered) return value
    throw new ProtocolError(`delivery lane ${value}`)
  }
)

/** Who speaks of whose messages: both ends' epochs, so that a process never answers for another. */
const epochs = { sender: u64, receiver: u64 }
const ranges = list(struct({ first: u64, count: u16 }), acknowledgedRangesMax)

const ackBody = openStruct({ ...epochs, lane, below: u64, handled: ranges, taken: ranges })
export type DeliveryAck = TypeOf<typeof ackBody>

export const deliveryAck = declareMessage({
  number: 0x0020,
  name: 'DeliveryAck',
  priority: Priorities.High,
  body: ackBody,
  about: 'Says which messages were handled, and which are here and not through.'
})

/** The facts are an open struct, and so they stand last. */
const failedBody = struct({ ...epochs, lane, sequence: u64, facts: errorFacts })
export type DeliveryFailure = TypeOf<typeof failedBody>

export const deliveryFailed = declareMessage({
  number: 0x0021,
  name: 'DeliveryFailed',
  priority: Priorities.High,
  body: failedBody,
  about: 'Says that a message’s handler threw, or that nobody here handles it.'
})

const floorBody = openStruct({ ...epochs, lane, floor: u64 })
export type FloorBody = TypeOf<typeof floorBody>

export const deliveryFloor = declareMessage({
  number: 0x0022,
  name: 'DeliveryFloor',
  priority: Priorities.High,
  body: floorBody,
  about: 'Says that the sender gave messages up: the receiver waits for nothing below.'
})

export const deliveryMessages = [deliveryAck, deliveryFailed, deliveryFloor] as const
