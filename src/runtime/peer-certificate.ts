import type { X509Certificate } from 'node:crypto'
import {
  type PeerCertificate,
  type PeerIdentity,
  parsePeerName,
  uriNamesIn,
  type WallMs
} from '../core/index.js'
import { faultOfLeaf } from './certificate-policy.js'
import { normalSerial } from './der.js'

const serverAuth = '1.3.6.1.5.5.7.3.1'
const clientAuth = '1.3.6.1.5.5.7.3.2'

export type CertificateReading =
  | { readonly kind: 'peer'; readonly peer: PeerIdentity }
  | { readonly kind: 'refused'; readonly reason: string }

/** Who the holder of a verified leaf certificate is: exactly one URI name, of the form we issue. */
export function readPeerCertificate(certificate: X509Certificate): CertificateReading {
  if (certificate.ca) return refused('an authority certificate names no peer')
  const uris = uriNamesIn(certificate.subjectAltName ?? '')
  const [uri] = uris
  if (uri === undefined || uris.length !== 1) return refused(`${uris.length} URI names, wanted one`)
  const peer = parsePeerName(uri)
  if (peer === null) return refused(`${JSON.stringify(uri)} is no name of a peer`)
  const usages = certificate.keyUsage ?? []
  const wanted = peer.kind === 'node' ? [serverAuth, clientAuth] : [clientAuth]
  if (!wanted.every((usage) => usages.includes(usage))) return refused('extended key usage')
  return { kind: 'peer', peer }
}

/** The same, with what is demanded of the certificate itself. */
export function judgePeerCertificate(certificate: X509Certificate): CertificateReading {
  const reading = readPeerCertificate(certificate)
  if (reading.kind === 'refused') return reading
  try {
    const fault = faultOfLeaf(certificate)
    return fault === null ? reading : refused(fault)
  } catch (error) {
    return refused((error as Error).message)
  }
}

export const certificateFactsOf = (certificate: X509Certificate): PeerCertificate => ({
  serialNumber: normalSerial(certificate.serialNumber),
  notBefore: Date.parse(certificate.validFrom) as WallMs,
  notAfter: Date.parse(certificate.validTo) as WallMs
})

const refused = (reason: string): CertificateReading => ({ kind: 'refused', reason })
