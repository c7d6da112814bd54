/**
 * What two hosts tell one another about all groups that they share, at most once per heartbeat
 * interval and direction: the heartbeats of those that are awake, and with the message itself that
 * the sender stands by those that sleep.
 */
import type { LogIndex, Term } from '../../core/ids.js'
import { Priorities } from '../../core/ports/messenger.js'
import {
  bool,
  type Codec,
  list,
  openStruct,
  shortGroupId,
  struct,
  type TypeOf,
  u64,
  varint53
} from '../../wire/codec.js'
import { declareMessage } from '../../wire/declaration.js'
import { storageId } from '../../wire/storage-id-codec.js'

/** Groups of one message; a host has no more. */
export const hostBeatsMax = 4_096

const shortTerm = varint53 as Codec<number> as Codec<Term>
const shortIndex = varint53 as Codec<number> as Codec<LogIndex>

const beat = struct({
  group: shortGroupId,
  term: shortTerm,
  /** The receiver is known to hold it. */
  commitIndex: shortIndex,
  /** That is all there is, and the group may sleep until it is spoken of again. */
  sleeps: bool
})
export type HostBeat = TypeOf<typeof beat>

const beatAnswer = struct({
  group: shortGroupId,
  term: shortTerm,
  /** Zero: it is awake. Otherwise it sleeps with everything up to here. */
  asleepAt: shortIndex
})
export type HostBeatAnswer = TypeOf<typeof beatAnswer>

export const hostBeats = declareMessage({
  number: 0x0210,
  name: 'hostBeats',
  priority: Priorities.Critical,
  body: openStruct({
    from: storageId,
    to: storageId,
    /** Of the sending process: another one keeps no promise of this one. */
    life: u64,
    beats: list(beat, hostBeatsMax)
  }),
  about: 'Heartbeats of every group that the sender leads and that is awake; it stands by the rest.'
})

export const hostBeatAnswers = declareMessage({
  number: 0x0211,
  name: 'hostBeatAnswers',
  priority: Priorities.Critical,
  body: openStruct({
    from: storageId,
    to: storageId,
    answers: list(beatAnswer, hostBeatsMax)
  }),
  about: 'Answers hostBeats for every group that it named, or none; also alone, when one is late.'
})

/** Everything this file declares, for the catalogue. */
export const hostMessages = [hostBeats, hostBeatAnswers] as const
