/** Certificate revocation lists, RFC 5280 section 5: read and verified, in linear time. */
import { createHash, type KeyObject, verify, X509Certificate } from 'node:crypto'
import {
  type AuthorityFacts,
  CertificateError,
  type DeniedPeer,
  isNodeId,
  type RevocationList,
  type WallMs
} from '../core/index.js'
import { signsLists } from './certificate-policy.js'
import { DerReader, DerTags, hexOf, objectIdOf, readExtensions, timeOf } from './der.js'

export const revocationListBytesMax = 512 * 1024
/** A file may hold the lists of as many authorities. */
export const revocationListsMax = 8
export const deniedPeersMax = 4_096

const crlNumberId = '2.5.29.20'
const authorityKeyId = '2.5.29.35'
const longestNumberBytes = 6

/** Signature algorithm → digest; null: the algorithm has its own. */
const digests: Readonly<Record<string, string | null>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.3.101.112': null
}

export const authorityIdOf = (key: KeyObject): string =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex')

export const authorityFactsOf = (certificate: X509Certificate): AuthorityFacts => ({
  id: authorityIdOf(certificate.publicKey),
  subject: certificate.subject.replaceAll('\n', ', '),
  notAfter: Date.parse(certificate.validTo) as WallMs
})

/**
 * A list counts until a newer one of its authority comes, whatever its `nextUpdate` says: a list
 * that nobody renewed must neither let the revoked in again nor shut everybody out.
 *
 * @param given DER, or PEM
 * @throws CertificateError malformed, too long, or signed by none of the authorities
 */
export function readRevocationList(
  given: Uint8Array,
  authorities: readonly X509Certificate[]
): RevocationList {
  const fail = (reason: string, cause?: unknown) =>
    new CertificateError(`revocation list: ${reason}`, cause === undefined ? {} : { cause })
  if (given.length > revocationListBytesMax) {
    throw fail(`${given.length} bytes, at most ${revocationListBytesMax}`)
  }
  try {
    const bytes = derOf(Buffer.from(given))
    const { tbs, algorithm, signature } = partsOf(bytes)
    const digest = digests[algorithm]
    if (digest === undefined) throw fail(`a signature of algorithm ${algorithm}`)
    const signer = authorities.find(
      (authority) => signsLists(authority) && verify(digest, tbs, authority.publicKey, signature)
    )
    if (signer === undefined) throw fail('no authority of this cluster signed it')
    return { authorityId: authorityIdOf(signer.publicKey), bytes, ...contentOf(tbs) }
  } catch (error) {
    if (error instanceof CertificateError) throw error
    throw fail((error as Error).message, error)
  }
}

const pemList = /-----BEGIN X509 CRL-----[\sA-Za-z0-9+/=]*?-----END X509 CRL-----/g

/**
 * The operator's file: lists in PEM, and lines `node ID`, `client NAME`, `serial HEX`; `#` begins a
 * remark.
 *
 * @throws CertificateError naming the line
 */
export function readRevocationText(
  text: string,
  file: string
): { readonly lists: readonly Buffer[]; readonly denied: readonly DeniedPeer[] } {
  const fail = (reason: string) => new CertificateError(`${file}: ${reason}`)
  const lists = [...text.matchAll(pemList)].map(([pem]) => Buffer.from(pem))
  if (lists.length > revocationListsMax) {
    throw fail(`${lists.length} lists, at most ${revocationListsMax}`)
  }
  const blank = (pem: string) => '\n'.repeat(pem.split('\n').length - 1)
  const denied: DeniedPeer[] = []
  for (const [i, line] of text.replace(pemList, blank).split('\n').entries()) {
    const [kind = '', name = '', ...rest] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (kind === '') continue
    const isName = kind === 'serial' ? /^[0-9a-f]{1,40}$/i.test(name) : isNodeId(name)
    const isKind = kind === 'node' || kind === 'client' || kind === 'serial'
    if (!isKind || !isName || rest.length > 0) {
      throw fail(`line ${i + 1} is neither "node ID", "client NAME" nor "serial HEX"`)
    }
    denied.push({ kind, name: kind === 'serial' ? hexOf(Buffer.from(evenHex(name), 'hex')) : name })
  }
  if (denied.length <= deniedPeersMax) return { lists, denied }
  throw fail(`${denied.length} lines, at most ${deniedPeersMax}`)
}

/** Every certificate of a PEM file, in its order. @throws CertificateError none, or a broken one */
export function readCertificates(pem: string, file: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  try {
    if (blocks.length > 0) return blocks.map((block) => new X509Certificate(block))
  } catch (cause) {
    throw new CertificateError(`${file}: is no PEM certificate`, { cause })
  }
  throw new CertificateError(`${file}: is no PEM certificate`)
}

const evenHex = (hex: string): string => (hex.length % 2 === 0 ? hex : `0${hex}`)

function derOf(given: Buffer): Buffer {
  if (given[0] === DerTags.Sequence) return given
  const [pem] = given.toString('latin1').match(pemList) ?? []
  if (pem === undefined) throw new CertificateError('revocation list: is neither DER nor PEM')
  return Buffer.from(pem.split('-----')[2] ?? '', 'base64')
}

function partsOf(bytes: Buffer) {
  const outer = new DerReader(bytes)
  const fields = outer.enter()
  outer.expectEnd()
  const tbs = fields.expect(DerTags.Sequence).whole
  const algorithm = objectIdOf(fields.enter().expect(DerTags.ObjectId).content)
  const signature = fields.expect(DerTags.BitString).content
  fields.expectEnd()
  return { tbs, algorithm, signature: signature.subarray(1) }
}

function contentOf(tbs: Buffer): Omit<RevocationList, 'authorityId' | 'bytes'> {
  const fields = new DerReader(tbs).enter()
  fields.maybe(DerTags.Integer)
  fields.expect(DerTags.Sequence)
  fields.expect(DerTags.Sequence)
  const issuedAt = timeOf(fields.next()) as WallMs
  if (fields.peekTag() === DerTags.UtcTime || fields.peekTag() === DerTags.GeneralizedTime) {
    fields.next()
  }
  const serialNumbers = new Set<string>()
  if (fields.peekTag() === DerTags.Sequence) {
    const revoked = fields.enter()
    while (!revoked.isAtEnd) {
      serialNumbers.add(hexOf(revoked.enter().expect(DerTags.Integer).content))
    }
  }
  const extensions = fields.maybe(DerTags.Context0)
  fields.expectEnd()
  const number = extensions === null ? 0 : numberIn(new DerReader(extensions.content).enter())
  return { number, issuedAt, serialNumbers }
}

function numberIn(extensions: DerReader): number {
  let number = 0
  for (const { id, isCritical, value } of readExtensions(extensions)) {
    if (id === crlNumberId) {
      const { content } = new DerReader(value).expect(DerTags.Integer)
      const significant = content[0] === 0 ? content.subarray(1) : content
      if (significant.length > longestNumberBytes) throw new CertificateError('its number')
      number = significant.length === 0 ? 0 : significant.readUIntBE(0, significant.length)
    } else if (isCritical && id !== authorityKeyId) {
      throw new CertificateError(`revocation list: has the extension ${id}, unknown here`)
    }
  }
  return number
}
