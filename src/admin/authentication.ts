import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isLoopback, NotAuthorizedError, UnauthenticatedError } from '../core/index.js'

/** Checks one request's headers. @throws UnauthenticatedError, NotAuthorizedError */
export type Guard = (headers: IncomingHttpHeaders) => void

/** With a token: the bearer must show it. Without: only programs of this machine may ask. */
export function createGuard(token: string | null): Guard {
  return token === null ? guardLoopback : bearerGuard(token)
}

function bearerGuard(token: string): Guard {
  const expected = digest(token)
  return ({ authorization }) => {
    const [, given] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
    if (given === undefined) {
      throw new UnauthenticatedError('send the token as "Authorization: Bearer TOKEN"')
    }
    // Digests have one length, so the comparison tells nothing about the token's.
    if (!timingSafeEqual(digest(given), expected)) {
      throw new UnauthenticatedError('the token is not the one of this node')
    }
  }
}

/** A page in a browser of this machine can reach loopback too, under a name that it chose. */
function guardLoopback({ host }: IncomingHttpHeaders): void {
  const address = /:\d+$/.test(host ?? '') ? (host ?? '') : `${host}:80`
  if (!isLoopback(address)) {
    throw new NotAuthorizedError('without a token this API is asked by its loopback address only')
  }
}

const digest = (text: string): Uint8Array => createHash('sha256').update(text).digest()
