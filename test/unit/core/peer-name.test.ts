import t from 'tap'
import {
  alternativeNamesIn,
  describePeer,
  parsePeerName,
  peerNameOf,
  toNodeId,
  uriNamesIn
} from '../../../src/core/index.js'

t.test('names are read back as they were made', async (t) => {
  const node = { kind: 'node', nodeId: toNodeId('n-1'), clusterName: 'prod.eu' } as const
  const client = { kind: 'client', name: 'app', clusterName: 'prod' } as const
  t.equal(peerNameOf(node), 'spiffe://prod.eu/node/n-1')
  t.equal(peerNameOf(client), 'spiffe://prod/client/app')
  t.same(parsePeerName(peerNameOf(node)), node)
  t.same(parsePeerName(peerNameOf(client)), client)
  t.same([describePeer(node), describePeer(client)], ['node n-1', 'client app'])
})

t.test('X-06 every other form is refused', async (t) => {
  for (const text of [
    '',
    'spiffe://',
    'http://prod/node/a',
    'SPIFFE://prod/node/a',
    'spiffe://Prod/node/a',
    'spiffe://prod:80/node/a',
    'spiffe://user@prod/node/a',
    'spiffe://prod/node/a/',
    'spiffe://prod/node//a',
    'spiffe://prod/node/../a',
    'spiffe://prod/node/%2e',
    'spiffe://prod/node/a?x',
    'spiffe://prod/node/a#x',
    'spiffe://prod/node/a\0',
    'spiffe://prod/node/a\n',
    'spiffe://prod/admin/a',
    'spiffe:///node/a',
    ' spiffe://prod/node/a',
    `spiffe://prod/node/${'a'.repeat(64)}`,
    `spiffe://prod/node/${'a'.repeat(2_049)}`
  ]) {
    t.equal(parsePeerName(text), null, JSON.stringify(text.slice(0, 40)))
  }
})

t.test('X-06 a name of another kind cannot pass for a URI', async (t) => {
  const good = 'spiffe://prod/node/a'
  t.same(uriNamesIn(`URI:${good}`), [good])
  t.same(uriNamesIn(`DNS:a, IP Address:::1, URI:${good}, URI:b`), [good, 'b'])
  t.same(uriNamesIn(`DNS:"x, URI:${good}, DNS:y"`), [], 'within quotes')
  t.same(uriNamesIn(`DNS:"x\\", URI:${good}, DNS:y"`), [], 'a quote within quotes')
  t.same(uriNamesIn(`URI:"${good}, x", DNS:z`), [`"${good}, x"`])
  for (const text of ['', 'URI', 'DNS:"open, URI:a', ', URI:a', 'uri:a'])
    t.same(uriNamesIn(text), [])
  t.same(alternativeNamesIn('DNS:a, IP Address:::1, DNS:"b, DNS:c"'), [
    { kind: 'DNS', value: 'a' },
    { kind: 'IP Address', value: '::1' },
    { kind: 'DNS', value: '"b, DNS:c"' }
  ])
})
