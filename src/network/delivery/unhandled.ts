import { NotStartedError, type SkeinError, UnknownMessageError } from '../../core/errors.js'

/**
 * The answer to a message that is in the catalogue and that nobody here handles: for good, or only
 * until the rooms of this node have started, so that its sender may turn to another one.
 */
export const unhandled = (name: string, isStarting: boolean): SkeinError =>
  isStarting
    ? new NotStartedError(`this node starts: nobody takes ${name} yet`)
    : new UnknownMessageError(`nobody here takes ${name}`)
