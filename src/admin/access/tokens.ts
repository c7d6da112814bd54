import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { CertificateError } from '../../core/index.js'
import { type Principal, type Role, Roles } from './roles.js'

/** A token is random, so its plain digest cannot be guessed back and needs no salt. */
export interface AdminToken extends Principal {
  readonly digest: Uint8Array
}

export const tokenBytes = 32
export const tokensMax = 64
const NAMED_LINE = /^([A-Za-z0-9._-]{1,63}) (read|operate|admin) sha256:([0-9a-f]{64})$/

export const tokenOf = (text: string, name = 'token', role: Role = Roles.Admin): AdminToken => ({
  name,
  role,
  digest: digestOf(text)
})

/**
 * One token a line: `NAME ROLE sha256:HEX`, or a token in plain text, whose bearer is an
 * administrator. Empty lines and lines that begin with # are passed over.
 *
 * @throws CertificateError naming the file and the line
 */
export function parseTokens(text: string, file: string): readonly AdminToken[] {
  const tokens: AdminToken[] = []
  const fail = (line: number, reason: string) =>
    new CertificateError(`${file}: line ${line + 1} ${reason}`)
  for (const [line, raw] of text.split('\n').entries()) {
    const content = raw.trim()
    if (content === '' || content.startsWith('#')) continue
    const [, name, role, hex = ''] = NAMED_LINE.exec(content) ?? []
    if (name === undefined && /\s/.test(content)) throw fail(line, 'is not NAME ROLE sha256:HEX')
    const token =
      name === undefined
        ? tokenOf(content)
        : { name, role: role as Role, digest: new Uint8Array(Buffer.from(hex, 'hex')) }
    if (tokens.length >= tokensMax) throw fail(line, `is above the bound of ${tokensMax} tokens`)
    tokens.push(token)
  }
  if (tokens.length === 0) throw new CertificateError(`${file}: holds no token`)
  return tokens
}

/** A new token and the line that lets its bearer in. */
export function issueToken(name: string, role: Role): { token: string; line: string } {
  const token = randomBytes(tokenBytes).toString('base64url')
  const hex = Buffer.from(digestOf(token)).toString('hex')
  return { token, line: `${name} ${role} sha256:${hex}` }
}

/** Compares with every token, so that the time tells nothing of which one came close. */
export function bearerOf(text: string, tokens: readonly AdminToken[]): Principal | null {
  const given = digestOf(text)
  let found: Principal | null = null
  for (const { digest, name, role } of tokens) {
    if (timingSafeEqual(given, digest)) found = { name, role }
  }
  return found
}

const digestOf = (text: string): Uint8Array => createHash('sha256').update(text).digest()
