import type { X509Certificate } from 'node:crypto'
import t from 'tap'
import { readPeerCertificate } from '../../../src/runtime/peer-certificate.js'

const both = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']

/** What OpenSSL tells of a certificate, as far as it is read. */
const certificate = (subjectAltName: string | undefined, keyUsage = both, ca = false) =>
  ({ subjectAltName, keyUsage, ca }) as unknown as X509Certificate

const node = 'URI:spiffe://prod/node/a'

t.test('the one URI name says who it is, whatever other names there are', async (t) => {
  for (const names of [node, `DNS:x, ${node}`, `${node}, IP Address:127.0.0.1`]) {
    t.match(readPeerCertificate(certificate(names)), { kind: 'peer', peer: { nodeId: 'a' } })
  }
  const client = certificate('URI:spiffe://prod/client/app', both.slice(1))
  t.match(readPeerCertificate(client), { kind: 'peer', peer: { kind: 'client', name: 'app' } })
})

t.test('X-06 X-07 no name, two names, quoted names, an authority, other usages', async (t) => {
  for (const refused of [
    certificate(undefined),
    certificate('DNS:spiffe://prod/node/a'),
    certificate(`${node}, ${node}`),
    certificate(`${node}, URI:https://example.org`),
    certificate('URI:"spiffe://prod/node/a\\u0000, URI:spiffe://prod/node/b"'),
    certificate(`DNS:"x, ${node}"`),
    certificate('URI:spiffe://prod/node/A'),
    certificate(node, both, true),
    certificate(node, both.slice(1)),
    certificate(node, both.slice(0, 1)),
    certificate(node, [])
  ]) {
    t.equal(readPeerCertificate(refused).kind, 'refused', `${refused.subjectAltName}`)
  }
})
