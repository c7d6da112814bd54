import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { CertificateError, type PeerIdentity, type WallMs } from '../core/index.js'
import { readPeerCertificate } from './peer-certificate.js'

/** What a node proves itself with, in PEM, checked to fit together. */
export interface TlsMaterial {
  readonly certificate: string
  readonly key: string
  readonly authority: string
  readonly peer: PeerIdentity
  readonly expiresAt: WallMs
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
  const leaf = parseCertificate(certificate, files.certificateFile)
  const root = parseCertificate(authority, files.caFile)
  const fail = (file: string, reason: string) => new CertificateError(`${file}: ${reason}`)
  if (!root.ca) throw fail(files.caFile, 'is no certificate of an authority')
  if (!leaf.verify(root.publicKey)) {
    throw fail(files.certificateFile, `was not issued by the authority in ${files.caFile}`)
  }
  const [from, to] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)]
  if (now < from) throw fail(files.certificateFile, `is not valid before ${leaf.validFrom}`)
  if (now >= to) throw fail(files.certificateFile, `expired ${leaf.validTo}; issue a new one`)
  if (!leaf.checkPrivateKey(parseKey(key, files.keyFile))) {
    throw fail(files.keyFile, `is not the key of ${files.certificateFile}`)
  }
  const reading = readPeerCertificate(leaf)
  if (reading.kind === 'refused') throw fail(files.certificateFile, reading.reason)
  return { certificate, key, authority, peer: reading.peer, expiresAt: to as WallMs }
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

function parseCertificate(pem: string, file: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw new CertificateError(`${file}: is no PEM certificate`, { cause })
  }
}

function parseKey(pem: string, file: string) {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw new CertificateError(`${file}: is no PEM private key`, { cause })
  }
}
