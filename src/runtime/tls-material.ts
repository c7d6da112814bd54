import { createPrivateKey, type X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import {
  type AuthorityFacts,
  CertificateError,
  type PeerCertificate,
  type PeerIdentity,
  type WallMs
} from '../core/index.js'
import { weaknessOf } from './certificate-policy.js'
import { certificateFactsOf, judgePeerCertificate } from './peer-certificate.js'
import { authorityFactsOf, readCertificates } from './revocation-list.js'

/** Certificates of a chain, and authorities of a bundle. */
const chainLengthMax = 8
const authoritiesMax = 8

/** What a node proves itself with, in PEM, checked to fit together. */
export interface TlsMaterial {
  /** The leaf, and behind it what leads to an authority. */
  readonly certificate: string
  readonly key: string
  /** One, or several while one replaces another. */
  readonly authority: string
  readonly peer: PeerIdentity
  readonly facts: PeerCertificate
  readonly roots: readonly X509Certificate[]
  readonly authorities: readonly AuthorityFacts[]
}

export interface TlsFiles {
  readonly certificateFile: string
  readonly keyFile: string
  readonly caFile: string
}

/** @throws CertificateError naming the file and what is wrong with it */
export async function readTlsMaterial(files: TlsFiles, now: WallMs): Promise<TlsMaterial> {
  const certificate = await readText(files.certificateFile)
  const key = await readSecretText(files.keyFile)
  const authority = await readText(files.caFile)
  return checkTlsMaterial({ certificate, key, authority }, files, now)
}

/**
 * What is not in files; `names` tell in errors which of them is wrong.
 * @throws CertificateError
 */
export function checkTlsMaterial(
  { certificate, key, authority }: Pick<TlsMaterial, 'certificate' | 'key' | 'authority'>,
  files: TlsFiles,
  now: WallMs
): TlsMaterial {
  const chain = readCertificates(certificate, files.certificateFile)
  const roots = readCertificates(authority, files.caFile)
  const leaf = chain[0] as X509Certificate
  checkAuthorities(roots, files.caFile)
  checkChain(chain, roots, files)
  const fail = (file: string, reason: string) => new CertificateError(`${file}: ${reason}`)
  const facts = certificateFactsOf(leaf)
  if (now < facts.notBefore)
    throw fail(files.certificateFile, `is not valid before ${leaf.validFrom}`)
  if (now >= facts.notAfter) {
    throw fail(files.certificateFile, `expired ${leaf.validTo}; issue a new one`)
  }
  if (!leaf.checkPrivateKey(parseKey(key, files.keyFile))) {
    throw fail(files.keyFile, `is not the key of ${files.certificateFile}`)
  }
  const reading = judgePeerCertificate(leaf)
  if (reading.kind === 'refused') throw fail(files.certificateFile, reading.reason)
  const authorities = roots.map(authorityFactsOf)
  return { certificate, key, authority, peer: reading.peer, facts, roots, authorities }
}

function checkAuthorities(roots: readonly X509Certificate[], file: string): void {
  if (roots.length > authoritiesMax) {
    throw new CertificateError(
      `${file}: has ${roots.length} authorities, at most ${authoritiesMax}`
    )
  }
  for (const root of roots) {
    if (!root.ca) throw new CertificateError(`${file}: is no certificate of an authority`)
    const weakness = weaknessOf(root)
    if (weakness !== null) throw new CertificateError(`${file}: an authority has ${weakness}`)
  }
}

/** Each certificate is issued by the next one, the last by an authority; OpenSSL does the rest. */
function checkChain(
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  files: TlsFiles
): void {
  const { certificateFile, caFile } = files
  if (chain.length > chainLengthMax) {
    throw new CertificateError(
      `${certificateFile}: has ${chain.length} certificates, at most ${chainLengthMax}`
    )
  }
  for (const [i, certificate] of chain.entries()) {
    const issuers = [...roots, ...chain.slice(i + 1, i + 2)]
    const isIssued = issuers.some(
      (issuer) => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
    )
    if (isIssued) continue
    throw new CertificateError(`${certificateFile}: was not issued by the authority in ${caFile}`)
  }
}

/**
 * A file that its owner alone may read.
 *
 * @throws CertificateError missing, unreadable, or open to others
 */
export async function readSecretText(file: string): Promise<string> {
  const text = await readText(file)
  const { mode } = await stat(file)
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new CertificateError(`${file}: others may read it; run chmod 600 on it`)
  }
  return text
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new CertificateError(`${file}: ${(cause as Error).message}`, { cause })
  }
}

function parseKey(pem: string, file: string) {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw new CertificateError(`${file}: is no PEM private key`, { cause })
  }
}
