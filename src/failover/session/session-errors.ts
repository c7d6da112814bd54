/** What a refusal means to the program whose session it is. */
import { unreachable } from '../../core/assert.js'
import {
  BackpressureError,
  InvalidArgumentError,
  NotAuthorizedError,
  SessionDetachedError,
  SessionEndedError,
  SessionMovedError,
  type SkeinError
} from '../../core/errors.js'
import type { NodeId } from '../../core/ids.js'
import { hasCode } from '../../core/remote-error.js'
import type { SessionAnswer } from './session-changes.js'

export const movedTo = (id: string, to: NodeId, epoch: number): SessionMovedError =>
  new SessionMovedError(`session ${id} is at home on ${to}`, { nodeId: to, details: { epoch } })

export const ended = (reason: string): SessionEndedError =>
  new SessionEndedError(`the session has ended: ${reason}`, { details: { reason } })

const nameTaken = () =>
  new InvalidArgumentError('prepared', 'a statement of this name and another text is there')

export function refusalOf(
  answer: Extract<SessionAnswer, { kind: 'refused' }>,
  self: NodeId
): Error {
  const { refusal, home, epoch } = answer
  switch (refusal) {
    case 'unknown':
      return ended('closed, or nobody spoke for it in time')
    case 'token':
      return ended('its token was used')
    case 'client':
      return new NotAuthorizedError('the session is another program’s')
    case 'fenced':
      return home === null || home === self
        ? new SessionDetachedError('the session was taken over meanwhile')
        : new SessionMovedError(`the session is at home on ${home}`, {
            nodeId: home,
            details: { epoch }
          })
    case 'full':
      return new BackpressureError('there are as many sessions, or as much of them, as may be')
    case 'tooLarge':
      return new InvalidArgumentError('session', 'its settings and statements are too large')
    case 'nameTaken':
      return nameTaken()
    default:
      return unreachable(refusal)
  }
}

/** The control group said no: nothing is in doubt. */
export const isRefusal = (error: unknown): error is SkeinError =>
  hasCode(error, 'ERR_SKEIN_SESSION_MOVED') ||
  hasCode(error, 'ERR_SKEIN_SESSION_DETACHED') ||
  hasCode(error, 'ERR_SKEIN_SESSION_ENDED')
