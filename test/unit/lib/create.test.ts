import t from 'tap'
import { ClusterNetworkManager, type CreateOptions } from '../../../lib/index.js'

const config = {
  node: { id: 'a', dataDirectory: 'nowhere' },
  cluster: { bootstrap: { voters: ['a'] } },
  security: { insecure: true }
}
const create = (options: CreateOptions) => () => ClusterNetworkManager.create(options)

t.test('X-11: a strategy that nobody brought is refused by its field, with the rest', async (t) => {
  const unknown = { ...config, routing: { strategy: 'own' } }
  t.throws(create({ config: unknown }), {
    code: 'ERR_SKEIN_INVALID_CONFIG',
    faults: [{ path: 'routing.strategy', message: /round-robin.*adaptive/ }]
  })
  const more = { ...unknown, facade: { drainTimeoutMs: -1 } }
  t.throws(create({ config: more }), {
    code: 'ERR_SKEIN_INVALID_CONFIG',
    faults: [{ path: 'facade.drainTimeoutMs' }, { path: 'routing.strategy' }]
  })
  const strategies: CreateOptions['strategies'] = {
    own: () => ({ name: 'own', choose: (eligible) => eligible.length - 1 })
  }
  t.equal(create({ config: unknown, strategies })().nodeId, 'a', 'one of the embedder’s is taken')
})
