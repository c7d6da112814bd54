/**
 * Issues X.509 certificates. node-forge builds the structure, OpenSSL makes the keys and signs:
 * keys are on P-256, of which node-forge knows nothing, so their two fields of the structure are
 * put in here. Verifying is not done here but by OpenSSL, in the handshake.
 */
import {
  createHash,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  sign,
  type X509Certificate
} from 'node:crypto'
import { promisify } from 'node:util'
import forge from 'node-forge'
import { must, type WallMs } from '../../core/index.js'

const { asn1 } = forge
/** Its declarations lack one function. */
const pki = forge.pki as typeof forge.pki & {
  getTBSCertificate(certificate: forge.pki.Certificate): forge.asn1.Asn1
}

/** Certificates are valid from this long before they are made: clocks differ. */
export const clockToleranceMs = 5 * 60_000
const dayMs = 86_400_000

const ecdsaWithSha256 = '1.2.840.10045.4.3.2'
const rsaWithSha256 = '1.2.840.113549.1.1.11'
/** Positions in TBSCertificate, RFC 5280 section 4.1. */
const Field = { Signature: 2, Issuer: 3, Subject: 5, PublicKey: 6 } as const

export interface Issued {
  /** PEM. */
  readonly certificate: string
  /** PEM, PKCS #8. */
  readonly key: string
}

export interface Issuer {
  readonly certificate: X509Certificate
  readonly key: KeyObject
}

export interface Validity {
  readonly now: WallMs
  readonly days: number
}

/** A root that may sign leaves and nothing below them. */
export async function issueAuthority(commonName: string, validity: Validity): Promise<Issued> {
  const keys = await makeKeys()
  const names = { subject: commonName, issuer: null, validity }
  const tbs = toBeSigned(keys.publicKey, names, [
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    subjectKeyIdentifier(keys.publicKey)
  ])
  return { certificate: seal(tbs, keys.privateKey), key: exportKey(keys.privateKey) }
}

export interface LeafRequest {
  readonly commonName: string
  readonly uri: string
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  /** A node both dials and listens; a client only dials. */
  readonly listens: boolean
}

export async function issueLeaf(
  issuer: Issuer,
  request: LeafRequest,
  validity: Validity
): Promise<Issued> {
  const keys = await makeKeys()
  const names = { subject: request.commonName, issuer: issuer.certificate, validity }
  const tbs = toBeSigned(keys.publicKey, names, [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, critical: true },
    { name: 'extKeyUsage', clientAuth: true, serverAuth: request.listens },
    {
      name: 'subjectAltName',
      altNames: [
        { type: 6, value: request.uri },
        ...request.dnsNames.map((value) => ({ type: 2, value })),
        ...request.ipAddresses.map((ip) => ({ type: 7, ip }))
      ]
    },
    subjectKeyIdentifier(keys.publicKey),
    { name: 'authorityKeyIdentifier', keyIdentifier: keyIdentifier(issuer.certificate.publicKey) }
  ])
  return { certificate: seal(tbs, issuer.key), key: exportKey(keys.privateKey) }
}

const makeKeys = () => promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })

const exportKey = (key: KeyObject): string =>
  key.export({ type: 'pkcs8', format: 'pem' }).toString()

interface Names {
  readonly subject: string
  /** Null: itself. */
  readonly issuer: X509Certificate | null
  readonly validity: Validity
}

function toBeSigned(publicKey: KeyObject, names: Names, extensions: object[]): forge.asn1.Asn1 {
  const certificate = pki.createCertificate()
  const { now, days } = names.validity
  certificate.serialNumber = makeSerial()
  certificate.validity.notBefore = new Date(now - clockToleranceMs)
  certificate.validity.notAfter = new Date(now + days * dayMs)
  const attributes = [{ name: 'commonName', value: names.subject }]
  certificate.setSubject(attributes)
  certificate.setIssuer(attributes)
  certificate.setExtensions(extensions)
  // node-forge wants an RSA key and an algorithm in these places; both are replaced.
  const one = new forge.jsbn.BigInteger('1')
  certificate.publicKey = pki.setRsaPublicKey(one, one)
  certificate.siginfo.algorithmOid = ecdsaWithSha256
  const tbs = pki.getTBSCertificate(certificate)
  const fields = tbs.value as forge.asn1.Asn1[]
  fields[Field.PublicKey] = asn1.fromDer(derOf(publicKey))
  if (names.issuer !== null) fields[Field.Issuer] = subjectOf(names.issuer)
  return tbs
}

function seal(tbs: forge.asn1.Asn1, key: KeyObject): string {
  const fields = tbs.value as forge.asn1.Asn1[]
  fields[Field.Signature] = algorithmOf(key)
  return pemOf('CERTIFICATE', signed(tbs, key))
}

/** What is signed, how, and the signature: the outer form of certificates and lists. */
function signed(tbs: forge.asn1.Asn1, key: KeyObject): forge.asn1.Asn1 {
  const der = Buffer.from(asn1.toDer(tbs).getBytes(), 'binary')
  const signature = sign('sha256', der, key)
  return sequence([
    tbs,
    algorithmOf(key),
    asn1.create(
      asn1.Class.UNIVERSAL,
      asn1.Type.BITSTRING,
      false,
      `\0${signature.toString('binary')}`
    )
  ])
}

function pemOf(label: string, value: forge.asn1.Asn1): string {
  const body = forge.util.encode64(asn1.toDer(value).getBytes(), 64).replaceAll('\r', '')
  return `-----BEGIN ${label}-----\n${body.trim()}\n-----END ${label}-----\n`
}

function algorithmOf(key: KeyObject): forge.asn1.Asn1 {
  const isRsa = key.asymmetricKeyType === 'rsa'
  const oid = asn1.oidToDer(isRsa ? rsaWithSha256 : ecdsaWithSha256).getBytes()
  const parts = [asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OID, false, oid)]
  if (isRsa) parts.push(asn1.create(asn1.Class.UNIVERSAL, asn1.Type.NULL, false, ''))
  return sequence(parts)
}

const sequence = (parts: forge.asn1.Asn1[]): forge.asn1.Asn1 =>
  asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, parts)

/** The issuer's name byte by byte, or chains of certificates made elsewhere would not build. */
function subjectOf(certificate: X509Certificate): forge.asn1.Asn1 {
  const whole = asn1.fromDer(certificate.raw.toString('binary'))
  const [tbs] = whole.value as forge.asn1.Asn1[]
  return must((must(tbs, 'certificate').value as forge.asn1.Asn1[])[Field.Subject], 'subject')
}

function derOf(publicKey: KeyObject): string {
  return publicKey.export({ type: 'spki', format: 'der' }).toString('binary')
}

/** SHA-1 of the key's bits, RFC 5280 section 4.2.1.2: a name, not a protection. */
function keyIdentifier(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const [, bits] = asn1.fromDer(derOf(publicKey)).value as forge.asn1.Asn1[]
  const octets = Buffer.from(bitStringOf(must(bits, 'public key')).slice(1), 'binary')
  return createHash('sha1').update(octets).digest().toString('binary')
}

/**
 * node-forge reads on inside bit strings that happen to be valid DER; the octets are kept beside.
 */
function bitStringOf(bits: forge.asn1.Asn1): string {
  const kept = (bits as forge.asn1.Asn1 & { readonly bitStringContents?: string }).bitStringContents
  return kept ?? (bits.value as string)
}

function subjectKeyIdentifier(key: KeyObject): object {
  const octets = asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OCTETSTRING, false, keyIdentifier(key))
  return { id: '2.5.29.14', value: asn1.toDer(octets).getBytes() }
}

/** 127 random bits, positive and never short. */
function makeSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

export interface RevocationRequest {
  /** Above that of every earlier list of this authority. */
  readonly number: number
  readonly revoked: readonly { readonly serialNumber: string; readonly at: WallMs }[]
}

/** RFC 5280 section 5, version 2. @returns PEM */
export function issueRevocationList(
  issuer: Issuer,
  { number, revoked }: RevocationRequest,
  { now, days }: Validity
): string {
  const entries = revoked.map(({ serialNumber, at }) =>
    sequence([integer(serialNumber), timeOf(at)])
  )
  const tbs = sequence([
    integer('01'),
    algorithmOf(issuer.key),
    subjectOf(issuer.certificate),
    timeOf(now),
    timeOf((now + days * dayMs) as WallMs),
    ...(entries.length === 0 ? [] : [sequence(entries)]),
    asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, true, [
      sequence([
        extension('2.5.29.35', authorityKeyIdentifier(issuer.certificate)),
        extension('2.5.29.20', integer(number.toString(16)))
      ])
    ])
  ])
  return pemOf('X509 CRL', signed(tbs, issuer.key))
}

const derString = (value: forge.asn1.Asn1): string => asn1.toDer(value).getBytes()

const extension = (id: string, value: forge.asn1.Asn1): forge.asn1.Asn1 =>
  sequence([
    asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OID, false, asn1.oidToDer(id).getBytes()),
    asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OCTETSTRING, false, derString(value))
  ])

const authorityKeyIdentifier = (certificate: X509Certificate): forge.asn1.Asn1 =>
  sequence([
    asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, false, keyIdentifier(certificate.publicKey))
  ])

/** Positive, whatever its highest bit. */
function integer(hex: string): forge.asn1.Asn1 {
  const even = hex.length % 2 === 0 ? hex : `0${hex}`
  const bytes = Buffer.from(
    Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even,
    'hex'
  )
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.INTEGER, false, bytes.toString('binary'))
}

/** UTCTime until 2049, as RFC 5280 demands. */
function timeOf(at: WallMs): forge.asn1.Asn1 {
  const date = new Date(at)
  const isShort = date.getUTCFullYear() < 2_050
  const { UTCTIME, GENERALIZEDTIME } = asn1.Type
  const text = isShort ? asn1.dateToUtcTime(date) : asn1.dateToGeneralizedTime(date)
  return asn1.create(asn1.Class.UNIVERSAL, isShort ? UTCTIME : GENERALIZEDTIME, false, `${text}`)
}
