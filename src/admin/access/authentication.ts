/**
 * Who asks. A bearer token, or a client certificate of this cluster when the server speaks TLS;
 * without either only programs of this machine may ask, and they may do everything.
 */
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import {
  BackpressureError,
  isLoopback,
  NotAuthorizedError,
  UnauthenticatedError
} from '../../core/index.js'
import type { CertificateHolders } from './certificate-holders.js'
import { FailedLogins } from './failed-logins.js'
import { type Access, mayAccess, type Principal, type Role, Roles } from './roles.js'
import { type AdminToken, bearerOf } from './tokens.js'

export interface Credentials {
  readonly tokens: readonly AdminToken[]
  /** Role by the name in a client certificate `spiffe://CLUSTER/client/NAME`; TLS only. */
  readonly clientRoles: Readonly<Record<string, Role>>
  /** The cluster whose certificates count. */
  readonly clusterName: string
}

const loopbackPrincipal: Principal = { name: 'loopback', role: Roles.Admin }

export class Authenticator {
  readonly #holders: CertificateHolders
  readonly #credentials: Credentials
  readonly #failed = new FailedLogins()
  readonly #isOpenToLoopback: boolean

  constructor(holders: CertificateHolders, credentials: Credentials) {
    this.#holders = holders
    this.#credentials = credentials
    const { tokens, clientRoles } = credentials
    this.#isOpenToLoopback = tokens.length === 0 && Object.keys(clientRoles).length === 0
  }

  /**
   * Null: an open route, asked by nobody in particular.
   * @throws UnauthenticatedError, NotAuthorizedError; after too many failures BackpressureError
   */
  authenticate(request: IncomingMessage, access: Access, now: number): Principal | null {
    refuseForeignPages(request)
    if (access === 'open') return null
    const principal = this.#principalOf(request, now)
    if (mayAccess(principal.role, access)) return principal
    throw new NotAuthorizedError(`this needs the role ${access}, and yours is ${principal.role}`)
  }

  #principalOf(request: IncomingMessage, now: number): Principal {
    if (this.#isOpenToLoopback) return guardLoopback(request)
    const principal = this.#holderOf(request) ?? this.#bearer(request)
    if (principal !== null) return principal
    const address = request.socket.remoteAddress ?? 'unknown'
    const waitMs = this.#failed.waitMs(address, now)
    if (waitMs > 0) {
      const seconds = Math.ceil(waitMs / 1_000)
      throw new BackpressureError(`too many wrong credentials; try again in ${seconds} s`)
    }
    this.#failed.add(address, now)
    throw new UnauthenticatedError(
      request.headers.authorization === undefined
        ? 'send the token as "Authorization: Bearer TOKEN"'
        : 'the token is none of this node'
    )
  }

  #bearer({ headers }: IncomingMessage): Principal | null {
    const [, given] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? []
    return given === undefined ? null : bearerOf(given, this.#credentials.tokens)
  }

  #holderOf({ socket }: IncomingMessage): Principal | null {
    if (!(socket instanceof TLSSocket)) return null
    const peer = this.#holders.holderOf(socket)
    const { clientRoles, clusterName } = this.#credentials
    if (peer?.kind !== 'client' || peer.clusterName !== clusterName) return null
    const role = Object.hasOwn(clientRoles, peer.name) ? clientRoles[peer.name] : undefined
    return role === undefined ? null : { name: peer.name, role }
  }
}

/** A page in a browser of this machine can reach loopback too, under a name that it chose. */
function guardLoopback({ headers: { host } }: IncomingMessage): Principal {
  const address = /:\d+$/.test(host ?? '') ? (host ?? '') : `${host}:80`
  if (isLoopback(address)) return loopbackPrincipal
  throw new NotAuthorizedError('without a token this API is asked by its loopback address only')
}

/** Browsers name the page that asks; only one that this server gave itself may. */
function refuseForeignPages({ headers: { origin, host } }: IncomingMessage): void {
  if (origin === undefined) return
  if (URL.canParse(origin) && new URL(origin).host === host) return
  throw new NotAuthorizedError('pages of other origins may not ask')
}
