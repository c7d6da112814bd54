/**
 * The payload of a log entry. A `batch` is the group's, the other kinds are Raft's own. Numbers
 * are append-only: an entry that was ever written keeps its meaning. The first byte of a payload
 * is the number of its kind.
 */
import { ProtocolError } from '../core/errors.js'
import { messageSizeBytesMax } from '../core/limits.js'
import { ByteReader } from '../wire/byte-reader.js'
import { ByteWriter } from '../wire/byte-writer.js'
import { bytes, list, replicaId, struct, type TypeOf, union } from '../wire/codec.js'
import {
  type Configuration,
  configurationFault,
  configurationMembersMax,
  isJoint
} from './configuration.js'

const members = list(replicaId, configurationMembersMax)
const configurationNumber = 1
const jointConfigurationNumber = 3

export const entryPayload = union({
  noop: [0, struct({})],
  configuration: [configurationNumber, struct({ voters: members, learners: members })],
  batch: [2, struct({ bytes: bytes(messageSizeBytesMax) })],
  jointConfiguration: [
    jointConfigurationNumber,
    struct({
      voters: members,
      votersOutgoing: members,
      learners: members,
      learnersNext: members
    })
  ]
})
export type EntryPayload = TypeOf<typeof entryPayload>

/** @throws MessageTooLargeError above `messageSizeBytesMax` */
export function encodeEntryPayload(payload: EntryPayload): Uint8Array {
  const writer = new ByteWriter(messageSizeBytesMax)
  entryPayload.write(writer, payload)
  return writer.take()
}

/** @throws ProtocolError for bytes of no known kind */
export function decodeEntryPayload(payload: Uint8Array): EntryPayload {
  const reader = new ByteReader(payload)
  const decoded = entryPayload.read(reader)
  reader.expectEnd()
  return decoded
}

export function encodeConfiguration(configuration: Configuration): Uint8Array {
  if (isJoint(configuration)) {
    return encodeEntryPayload({ kind: 'jointConfiguration', ...configuration })
  }
  const { voters, learners } = configuration
  return encodeEntryPayload({ kind: 'configuration', voters, learners })
}

/**
 * The configuration in `payload`; null, at the cost of one byte's look, when it is another kind.
 * @throws ProtocolError it breaks an invariant of configurations
 */
export function configurationIn(payload: Uint8Array): Configuration | null {
  const [number] = payload
  if (number !== configurationNumber && number !== jointConfigurationNumber) return null
  const decoded = decodeEntryPayload(payload)
  if (decoded.kind !== 'configuration' && decoded.kind !== 'jointConfiguration') return null
  const { voters, learners } = decoded
  const [votersOutgoing, learnersNext] =
    decoded.kind === 'configuration' ? [[], []] : [decoded.votersOutgoing, decoded.learnersNext]
  const configuration = { voters, votersOutgoing, learners, learnersNext }
  const fault = configurationFault(configuration)
  if (fault !== null) throw new ProtocolError(`a configuration in which ${fault}`)
  return configuration
}
