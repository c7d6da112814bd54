/**
 * What a certificate must be beyond what OpenSSL verifies: X.509-SVID's rules for leaves, and
 * algorithms that have not been broken.
 */
import type { X509Certificate } from 'node:crypto'
import { DerReader, DerTags, objectIdOf, readExtensions } from './der.js'

const keyUsageId = '2.5.29.15'
const basicConstraintsId = '2.5.29.19'
/** Bits of keyUsage, RFC 5280 section 4.2.1.3; the first is the highest. */
const KeyUsage = { DigitalSignature: 0x80, KeyCertSign: 0x04, CrlSign: 0x02 } as const

const rsaBitsMin = 2_048
const curves: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1']
/** ECDSA, RSA and RSA-PSS with SHA-2, Ed25519. */
const signatures: readonly string[] = [
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '1.2.840.113549.1.1.10',
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.3.101.112'
]

/** Null: nothing is wrong with it. */
export function faultOfLeaf(certificate: X509Certificate): string | null {
  if (isAuthority(certificate)) return 'basic constraints are those of an authority'
  const usage = keyUsageOf(certificate)
  if (usage === null || (usage & KeyUsage.DigitalSignature) === 0) {
    return 'key usage lacks digitalSignature'
  }
  if ((usage & (KeyUsage.KeyCertSign | KeyUsage.CrlSign)) !== 0) {
    return 'key usage allows to sign certificates or lists'
  }
  return weaknessOf(certificate)
}

/** Whether an authority may sign revocation lists; one without key usage may everything. */
export function signsLists(authority: X509Certificate): boolean {
  const usage = keyUsageOf(authority)
  return usage === null || (usage & KeyUsage.CrlSign) !== 0
}

/** A key or signature that is not to be trusted any more; null: none. */
export function weaknessOf(certificate: X509Certificate): string | null {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey
  if (type === 'rsa' && (details?.modulusLength ?? 0) < rsaBitsMin) {
    return `an RSA key of ${details?.modulusLength} bits`
  }
  if (type === 'ec' && !curves.includes(details?.namedCurve ?? '')) {
    return `a key on the curve ${details?.namedCurve}`
  }
  if (type !== 'rsa' && type !== 'ec' && type !== 'ed25519') return `a key of type ${type}`
  const algorithm = signatureAlgorithmOf(certificate)
  return signatures.includes(algorithm) ? null : `a signature of algorithm ${algorithm}`
}

function signatureAlgorithmOf(certificate: X509Certificate): string {
  const fields = new DerReader(certificate.raw).enter()
  fields.next()
  return objectIdOf(fields.enter().expect(DerTags.ObjectId).content)
}

/** By what it says; `X509Certificate.ca` looks at the key usage too. */
function isAuthority(certificate: X509Certificate): boolean {
  const value = extensionOf(certificate, basicConstraintsId)
  if (value === null) return false
  const constraints = new DerReader(value).enter()
  return (constraints.maybe(DerTags.Boolean)?.content[0] ?? 0) !== 0
}

/** The first octet of keyUsage; null: the certificate does not restrict its key. */
function keyUsageOf(certificate: X509Certificate): number | null {
  const value = extensionOf(certificate, keyUsageId)
  if (value === null) return null
  return new DerReader(value).expect(DerTags.BitString).content[1] ?? 0
}

function extensionOf(certificate: X509Certificate, wanted: string): Buffer | null {
  const tbs = new DerReader(certificate.raw).enter().enter()
  while (!tbs.isAtEnd) {
    const field = tbs.next()
    if (field.tag !== DerTags.Context3) continue
    const extensions = readExtensions(new DerReader(field.content).enter())
    return extensions.find(({ id }) => id === wanted)?.value ?? null
  }
  return null
}
