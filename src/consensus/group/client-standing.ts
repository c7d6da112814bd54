import {
  ClientExpiredError,
  ResultNotKeptError,
  SerialForgottenError,
  type SkeinError
} from '../../core/errors.js'
import type { ClientTag, WriteAnswer } from '../../core/ports/replicated-group.js'
import type { SeenIndex } from '../../core/sql-sessions.js'
import type { ClientLimits, ClientTable } from '../client-table.js'
import { decodeKeptResult } from './group-payload.js'

/** What a client's command is to be told before anything is done about it. */
export type ClientStanding =
  | { readonly kind: 'new' }
  /** Executed before: with this answer. */
  | {
      readonly kind: 'answered'
      readonly answer: WriteAnswer
      /** Of other groups that it wrote to. */
      readonly seen: readonly SeenIndex[]
    }
  /** Executed before, and the answer is gone; or not to be executed. */
  | { readonly kind: 'refused'; readonly isExecuted: boolean; readonly error: SkeinError }

/** The client has said that it waits for no answer to it. */
export const forgotten = ({ serial }: ClientTag): SerialForgottenError =>
  new SerialForgottenError(`serial ${serial} was answered, said the client`)

export function standingOf(
  tag: ClientTag,
  at: { readonly table: ClientTable; readonly logTime: number; readonly limits: ClientLimits }
): ClientStanding {
  const found = at.table.lookup(tag, at.logTime, at.limits)
  switch (found.kind) {
    case 'new':
      return { kind: 'new' }
    case 'executed': {
      const { index, result } = found
      if (result === null) {
        const error = new ResultNotKeptError(`executed at index ${index}`)
        return { kind: 'refused', isExecuted: true, error }
      }
      const { results, seen } = decodeKeptResult(result)
      return { kind: 'answered', answer: { results, index, repeated: true }, seen }
    }
    case 'forgotten':
      return { kind: 'refused', isExecuted: false, error: forgotten(tag) }
    case 'expired': {
      const error = new ClientExpiredError(`client ${tag.clientId} is not registered`)
      return { kind: 'refused', isExecuted: false, error }
    }
  }
}
