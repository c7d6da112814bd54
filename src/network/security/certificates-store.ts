/**
 * The directory of a cluster's authority:
 *
 *   ca.crt  ca.key             the authority; its key is needed to issue and nowhere else
 *   node-ID.crt  node-ID.key   a member node      client-NAME.crt  client-NAME.key   a client
 *   gossip.key                 32 bytes as 64 hex digits     admin.token   a bearer token
 *   issued.jsonl               what was issued, a line each  ca.crl        what was taken back
 *   revoked.json               the same, to write the next list from
 *
 * Everything but certificates has mode 0600. Files appear whole or not at all.
 */
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { appendFile, link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  alternativeNamesIn,
  CertificateError,
  InvalidArgumentError,
  type NodeId,
  type PeerIdentity,
  parsePeerName,
  peerNameOf,
  type WallMs
} from '../../core/index.js'
import type { Issued, Issuer, LeafRequest, Validity } from './x509-store.js'

/** Loaded when something is issued: nodes only read certificates. */
const x509 = () => import('./x509-store.js')

export const authorityDaysDefault = 3_650
export const leafDaysDefault = 365
const longestDays = 36_500
const secretBytes = 32

export interface AuthorityFiles {
  readonly caFile: string
  readonly caKeyFile: string
  readonly gossipKeyFile: string
  readonly tokenFile: string
  readonly revocationFile: string
}

export interface PeerFiles {
  readonly certificateFile: string
  readonly keyFile: string
}

export interface CertificateFacts {
  readonly subject: string
  readonly uris: readonly string[]
  /** DNS names and IP addresses. */
  readonly hosts: readonly string[]
  readonly serialNumber: string
  readonly notBefore: WallMs
  readonly notAfter: WallMs
  readonly isAuthority: boolean
}

export const authorityFiles = (directory: string): AuthorityFiles => ({
  caFile: join(directory, 'ca.crt'),
  caKeyFile: join(directory, 'ca.key'),
  gossipKeyFile: join(directory, 'gossip.key'),
  tokenFile: join(directory, 'admin.token'),
  revocationFile: join(directory, 'ca.crl')
})

export function peerFiles(directory: string, peer: PeerIdentity): PeerFiles {
  const stem = peer.kind === 'node' ? `node-${peer.nodeId}` : `client-${peer.name}`
  return {
    certificateFile: join(directory, `${stem}.crt`),
    keyFile: join(directory, `${stem}.key`)
  }
}

/**
 * Makes a cluster's authority, gossip key and admin token. Never replaces an authority: every
 * certificate it issued would be worthless.
 *
 * @throws CertificateError the directory has one, or cannot be written
 */
export async function createAuthority(
  directory: string,
  clusterName: string,
  validity: Validity
): Promise<AuthorityFiles> {
  checkDays(validity.days)
  if (parsePeerName(`spiffe://${clusterName}/node/x`) === null) {
    throw new InvalidArgumentError('cluster', 'must match [a-z0-9.-]{1,63}')
  }
  const files = authorityFiles(directory)
  const { issueAuthority } = await x509()
  const issued = await issueAuthority(clusterName, validity)
  await guard(directory, async () => {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await createFile(files.caKeyFile, issued.key)
    await createFile(files.caFile, issued.certificate, 0o644)
    await createFile(files.gossipKeyFile, `${randomBytes(secretBytes).toString('hex')}\n`)
    await createFile(files.tokenFile, `${randomBytes(secretBytes).toString('hex')}\n`)
  })
  return files
}

/**
 * Issues a certificate and its key, replacing older ones of the same name.
 *
 * @throws CertificateError no authority in the directory, or a damaged one
 */
export async function issuePeer(
  directory: string,
  request: { readonly peer: PeerIdentity; readonly hosts?: readonly string[] },
  validity: Validity
): Promise<PeerFiles> {
  checkDays(validity.days)
  const { peer } = request
  if (parsePeerName(peerNameOf(peer)) === null) {
    throw new InvalidArgumentError(peer.kind, 'must match [a-z0-9-]{1,63}')
  }
  const issuer = await readIssuer(directory)
  const clusterName = commonNameOf(issuer.certificate)
  if (clusterName !== peer.clusterName) {
    throw new CertificateError(`${directory}: is the authority of ${clusterName}`)
  }
  const { issueLeaf } = await x509()
  const issued = await issueLeaf(issuer, leafRequest(peer, request.hosts ?? []), validity)
  const files = peerFiles(directory, peer)
  await guard(directory, async () => {
    const { serialNumber, validTo } = new X509Certificate(issued.certificate)
    const record: IssuedRecord = {
      serialNumber: serialNumber.toLowerCase(),
      name: peerNameOf(peer),
      notAfter: Date.parse(validTo)
    }
    // Told before it exists: what was issued can be taken back.
    const options = { mode: 0o600 }
    await appendFile(join(directory, issuedName), `${JSON.stringify(record)}\n`, options)
    await replacePair(files, issued)
  })
  return files
}

/** Peers that have a certificate in the directory, by file name. */
export async function issuedPeers(directory: string, clusterName: string): Promise<PeerIdentity[]> {
  const names = await readdir(directory).catch((cause) => {
    throw new CertificateError(`${directory}: ${(cause as Error).message}`, { cause })
  })
  return names.sort().flatMap((name): PeerIdentity[] => {
    const [, kind, id = ''] = /^(node|client)-([a-z0-9-]+)\.crt$/.exec(name) ?? []
    return kind === undefined ? [] : [{ ...peerOfName(kind, id, clusterName) }]
  })
}

/** Puts a certificate and its key in another place, each whole, the key first. */
export async function installPair(from: PeerFiles, to: PeerFiles): Promise<void> {
  await guard(to.certificateFile, async () => {
    for (const [source, target, mode] of [
      [from.keyFile, to.keyFile, 0o600],
      [from.certificateFile, to.certificateFile, 0o644]
    ] as const) {
      const aside = await writeAside(target, await readFile(source, 'utf8'), mode)
      await rename(aside, target)
    }
  })
}

export interface Revocation {
  readonly revocationFile: string
  readonly number: number
  /** Taken back now; those that were already are not among them. */
  readonly serialNumbers: readonly string[]
  /** On the list, in all. */
  readonly revoked: number
}

/**
 * Takes certificates back: all that were issued to a peer and have not ended, or one by its serial
 * number. Writes the next list, which nodes take by file or from one another.
 *
 * @throws CertificateError nothing was issued to the peer, or no authority in the directory
 */
export async function revoke(
  directory: string,
  what: { readonly peer: PeerIdentity } | { readonly serialNumber: string },
  validity: Validity
): Promise<Revocation> {
  checkDays(validity.days)
  const issuer = await readIssuer(directory)
  const serials =
    'peer' in what
      ? await serialsOf(directory, what.peer, validity.now)
      : [what.serialNumber.toLowerCase()]
  const file = join(directory, revokedName)
  const before = await readRevoked(file)
  const isKnown = (serial: string) => before.revoked.some((one) => one.serialNumber === serial)
  const added = serials.filter((serial) => !isKnown(serial))
  const revoked = [
    ...before.revoked,
    ...added.map((serialNumber) => ({ serialNumber, at: validity.now }))
  ]
  const request = { number: before.number + 1, revoked }
  const { issueRevocationList } = await x509()
  const list = issueRevocationList(issuer, request, validity)
  const { revocationFile } = authorityFiles(directory)
  await guard(directory, async () => {
    await rename(await writeAside(file, JSON.stringify(request), 0o600), file)
    await rename(await writeAside(revocationFile, list, 0o644), revocationFile)
  })
  return { revocationFile, number: request.number, serialNumbers: added, revoked: revoked.length }
}

/** The cluster that an authority directory was made for. @throws CertificateError */
export async function authorityClusterName(directory: string): Promise<string> {
  return commonNameOf((await readIssuer(directory)).certificate)
}

/** @throws CertificateError missing file, or no certificate */
export async function inspectCertificate(file: string): Promise<CertificateFacts> {
  const certificate = parseCertificate(await readPem(file), file)
  const names = alternativeNamesIn(certificate.subjectAltName ?? '')
  const valuesOf = (...kinds: string[]) =>
    names.flatMap(({ kind, value }) => (kinds.includes(kind) ? [value] : []))
  return {
    subject: commonNameOf(certificate),
    uris: valuesOf('URI'),
    hosts: valuesOf('DNS', 'IP Address'),
    serialNumber: certificate.serialNumber.toLowerCase(),
    notBefore: Date.parse(certificate.validFrom) as WallMs,
    notAfter: Date.parse(certificate.validTo) as WallMs,
    isAuthority: certificate.ca
  }
}

const issuedName = 'issued.jsonl'
const revokedName = 'revoked.json'

interface IssuedRecord {
  readonly serialNumber: string
  readonly name: string
  readonly notAfter: number
}

interface RevokedRecord {
  readonly number: number
  readonly revoked: readonly { readonly serialNumber: string; readonly at: WallMs }[]
}

const peerOfName = (kind: string, id: string, clusterName: string): PeerIdentity =>
  kind === 'node'
    ? { kind: 'node', nodeId: id as NodeId, clusterName }
    : { kind: 'client', name: id, clusterName }

/** By the record, and by the certificate that lies there, which may be older than the record. */
async function serialsOf(directory: string, peer: PeerIdentity, now: WallMs): Promise<string[]> {
  const text = await readIssued(join(directory, issuedName))
  const records = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as IssuedRecord)
  const serials = new Set(
    records
      .filter(({ name, notAfter }) => name === peerNameOf(peer) && notAfter > now)
      .map(({ serialNumber }) => serialNumber)
  )
  const { certificateFile } = peerFiles(directory, peer)
  const present = await inspectCertificate(certificateFile).catch(() => null)
  if (present !== null) serials.add(present.serialNumber)
  if (serials.size > 0) return [...serials]
  throw new CertificateError(`${directory}: nothing was issued to ${peerNameOf(peer)}`)
}

/** Empty before anything was issued. */
async function readIssued(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new CertificateError(`${file}: ${(cause as Error).message}`, { cause })
  }
}

async function readRevoked(file: string): Promise<RevokedRecord> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as RevokedRecord
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { number: 0, revoked: [] }
    throw new CertificateError(`${file}: ${(cause as Error).message}`, { cause })
  }
}

function leafRequest(peer: PeerIdentity, hosts: readonly string[]): LeafRequest {
  const listens = peer.kind === 'node'
  const isIp = (host: string) => /^\d+\.\d+\.\d+\.\d+$/.test(host) || host.includes(':')
  // The names serve ordinary tools; nodes look at the URI alone.
  const all = listens ? ['localhost', '127.0.0.1', '::1', ...hosts] : []
  return {
    commonName: peer.kind === 'node' ? peer.nodeId : peer.name,
    uri: peerNameOf(peer),
    dnsNames: all.filter((host) => !isIp(host)),
    ipAddresses: all.filter(isIp),
    listens
  }
}

async function readIssuer(directory: string): Promise<Issuer> {
  const { caFile, caKeyFile } = authorityFiles(directory)
  const certificate = parseCertificate(await readPem(caFile), caFile)
  const pem = await readPem(caKeyFile)
  try {
    const key = createPrivateKey(pem)
    if (certificate.ca && certificate.checkPrivateKey(key)) return { certificate, key }
  } catch (cause) {
    throw new CertificateError(`${caKeyFile}: is no PEM private key`, { cause })
  }
  throw new CertificateError(`${caKeyFile}: is not the key of the authority in ${caFile}`)
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const hint = file.endsWith('ca.crt') || file.endsWith('ca.key') ? '; run skein certs init' : ''
    throw new CertificateError(`${(cause as Error).message}${hint}`, { cause })
  }
}

function parseCertificate(pem: string, file: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw new CertificateError(`${file}: is no PEM certificate`, { cause })
  }
}

const commonNameOf = (certificate: X509Certificate): string =>
  /(?:^|\n)CN=(.*)/.exec(certificate.subject)?.[1] ?? ''

function checkDays(days: number): void {
  if (Number.isInteger(days) && days >= 1 && days <= longestDays) return
  throw new InvalidArgumentError('days', `must be an integer from 1 to ${longestDays}`)
}

async function guard(directory: string, action: () => Promise<void>): Promise<void> {
  try {
    await action()
  } catch (cause) {
    const error = cause as NodeJS.ErrnoException
    const isTaken = error.code === 'EEXIST'
    const reason = isTaken ? 'has an authority; use another directory' : error.message
    throw new CertificateError(`${directory}: ${reason}`, { cause })
  }
}

async function replacePair(files: PeerFiles, issued: Issued): Promise<void> {
  await rename(await writeAside(files.keyFile, issued.key, 0o600), files.keyFile)
  await rename(
    await writeAside(files.certificateFile, issued.certificate, 0o644),
    files.certificateFile
  )
}

/** Fails with EEXIST when the file exists. */
async function createFile(file: string, text: string, mode = 0o600): Promise<void> {
  const aside = await writeAside(file, text, mode)
  try {
    await link(aside, file)
  } finally {
    await rm(aside, { force: true })
  }
}

async function writeAside(file: string, text: string, mode: number): Promise<string> {
  const aside = `${file}.${randomBytes(6).toString('hex')}.new`
  const handle = await open(aside, 'wx', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return aside
}
