/** Messages of the control group: what a node asks another of, one hop. */
import { Priorities } from '../core/ports/messenger.js'
import { bytes, clientId, openStruct, serial, struct, text, u16 } from '../wire/codec.js'
import { declareRequest } from '../wire/declaration.js'
import {
  controlAnswerBytesMax,
  controlChangeBytesMax,
  sectionNameBytesMax,
  sectionStateBytesMax
} from './change-command.js'

const section = text(sectionNameBytesMax)

export const controlRegister = declareRequest({
  number: 0x0a00,
  name: 'ControlRegister',
  priority: Priorities.High,
  body: openStruct({ client: clientId }),
  answer: openStruct({}),
  about: 'Asks the leader of the control group to register who numbers its changes.'
})

export const controlChange = declareRequest({
  number: 0x0a02,
  name: 'ControlChange',
  priority: Priorities.High,
  body: openStruct({
    section,
    format: u16,
    change: bytes(controlChangeBytesMax),
    tag: struct({ clientId, serial, answeredBelow: serial })
  }),
  answer: openStruct({ answer: bytes(controlAnswerBytesMax) }),
  about: 'Asks the leader of the control group to propose a change of a section.'
})

export const controlRead = declareRequest({
  number: 0x0a04,
  name: 'ControlRead',
  priority: Priorities.High,
  body: openStruct({ section }),
  answer: openStruct({ state: bytes(sectionStateBytesMax) }),
  about: 'Asks a replica of the control group for the state of a section, as of now.'
})

/** Everything this file declares, for the catalogue. */
export const controlGroupMessages = [controlRegister, controlChange, controlRead] as const
