import t from 'tap'
import {
  type ConfigFault,
  type ConfigSources,
  InvalidConfigError,
  LiveConfig,
  presetNames,
  reloadable,
  resolveConfig
} from '../../../src/core/index.js'

const minimal = {
  node: { id: 'a', dataDirectory: '/var/lib/a' },
  cluster: { bootstrap: { voters: ['a', 'b', 'c'] } },
  security: { insecure: true }
}

function faultsOf(sources: ConfigSources): readonly ConfigFault[] {
  try {
    resolveConfig(sources)
    return []
  } catch (error) {
    if (error instanceof InvalidConfigError) return error.faults
    throw error
  }
}

const pathsOf = (sources: ConfigSources): string[] => faultsOf(sources).map(({ path }) => path)

t.test('what has a default may be left out', async (t) => {
  const config = resolveConfig({ code: minimal })
  t.match(config, {
    node: { id: 'a', listenAddress: '127.0.0.1:7946' },
    cluster: { name: 'skein', seeds: [] },
    routing: { strategy: 'adaptive', queryTimeoutMs: 5_000 }
  })
})

t.test('X-47: all faults are reported at once, with their paths', async (t) => {
  const faults = faultsOf({
    file: {
      node: { id: 'A B', dataDirectory: '' },
      membership: { probeIntervalMs: 1, probeTimeoutMs: 'soon' },
      routing: { strategy: '', unknownField: 1 },
      cluster: { seeds: ['nowhere', 'host:70000'] }
    },
    environment: { SKEIN_NO_SUCH_FIELD: '1', SKEIN_ROUTING_RETRIES_MAX: '-3' }
  })
  t.same(faults.map(({ path }) => path).sort(), [
    'SKEIN_NO_SUCH_FIELD',
    'cluster.seeds.0',
    'cluster.seeds.1',
    'membership.probeIntervalMs',
    'membership.probeTimeoutMs',
    'node.dataDirectory',
    'node.id',
    'routing',
    'routing.retriesMax',
    'routing.strategy',
    'security'
  ])
  const error = new InvalidConfigError(faults)
  for (const { path } of faults) t.match(error.message, path)
})

t.test('relations between fields are checked, each with the field to change', async (t) => {
  for (const [section, fields, path] of [
    ['consensus', { electionTimeoutMinMs: 500, electionTimeoutMaxMs: 500 }, 'electionTimeoutMaxMs'],
    ['consensus', { heartbeatIntervalMs: 300 }, 'electionTimeoutMinMs'],
    ['consensus', { clientAnswersMax: 1_023 }, 'clientAnswersMax'],
    ['membership', { probeIntervalMs: 100, probeTimeoutMs: 100 }, 'probeTimeoutMs'],
    ['transport', { reconnectBackoffMinMs: 9_000 }, 'reconnectBackoffMaxMs'],
    ['transport', { keepAliveIntervalMs: 2_000 }, 'idleTimeoutMs'],
    ['cluster', { bootstrap: { voters: ['a', 'a'] } }, 'bootstrap.voters'],
    ['cluster', { bootstrap: undefined }, 'seeds'],
    ['admin', { listenAddress: '0.0.0.0:80' }, 'tokenFile']
  ] as const) {
    const base: Record<string, object> = { ...minimal }
    t.same(pathsOf({ code: { ...base, [section]: fields } }), [`${section}.${path}`])
  }
  t.same(pathsOf({ code: { ...minimal, security: {} } }), ['security'])
  t.same(pathsOf({ code: { ...minimal, admin: { listenAddress: '[::1]:80' } } }), [])
})

t.test('X-47: relations are reported beside faults of single fields', async (t) => {
  const paths = pathsOf({
    code: {
      node: { id: 'A B' },
      cluster: { seeds: ['host:1', 'nowhere'] },
      consensus: { electionTimeoutMinMs: 'soon', electionTimeoutMaxMs: 300, clientAnswersMax: 16 },
      transport: { keepAliveIntervalMs: 2_000, noSuchField: 1 },
      admin: { listenAddress: '0.0.0.0:80' }
    }
  })
  t.same(paths.sort(), [
    'admin.tokenFile',
    'cluster.seeds.1',
    'consensus.clientAnswersMax',
    'consensus.electionTimeoutMinMs',
    'node.dataDirectory',
    'node.id',
    'security',
    'transport',
    'transport.idleTimeoutMs'
  ])
})

t.test(
  'X-11: what only the rooms know is told beside the rest, of fields that are right',
  async (t) => {
    const roomFaults: NonNullable<ConfigSources['roomFaults']> = ({ routing: { strategy } }) =>
      strategy === 'adaptive' ? [] : [{ path: 'routing.strategy', message: `not ${strategy}` }]
    const wrong = { ...minimal, routing: { strategy: 'fastest' } }
    t.same(faultsOf({ roomFaults, code: wrong }), [
      { path: 'routing.strategy', message: 'not fastest' }
    ])
    const file = { membership: { probeTimeoutMs: 'soon' } }
    const paths = pathsOf({ roomFaults, file, code: wrong })
    t.same(paths.sort(), ['membership.probeTimeoutMs', 'routing.strategy'])
    const number = { ...minimal, routing: { strategy: 7 } }
    t.same(pathsOf({ roomFaults, code: number }), ['routing.strategy'], 'once')
  }
)

t.test('X-47: zero intervals, elections at heartbeats, one node twice', async (t) => {
  const zeros = {
    membership: { probeIntervalMs: 0, gossipIntervalMs: 0 },
    consensus: { heartbeatIntervalMs: 0, electionTimeoutMinMs: 0 },
    transport: { keepAliveIntervalMs: 0, idleTimeoutMs: 0, dialTimeoutMs: 0 },
    health: { latencyIntervalMs: 0, heartbeatIntervalMs: 0 },
    security: { insecure: true, reloadIntervalMs: 0 }
  }
  for (const [section, fields] of Object.entries(zeros)) {
    for (const [field, value] of Object.entries(fields)) {
      if (value !== 0) continue
      const code = { ...minimal, [section]: { ...fields, [field]: 0 } }
      t.ok(pathsOf({ code }).includes(`${section}.${field}`), `${section}.${field}`)
    }
  }
  for (const electionTimeoutMinMs of [100, 50]) {
    const consensus = { heartbeatIntervalMs: 100, electionTimeoutMinMs }
    t.same(pathsOf({ code: { ...minimal, consensus } }), ['consensus.electionTimeoutMinMs'])
  }
  const cluster = { bootstrap: { voters: ['a', 'b', 'b'] } }
  t.same(pathsOf({ code: { ...minimal, cluster } }), ['cluster.bootstrap.voters'])
})

t.test('later sources win field by field: preset, file, environment, code', async (t) => {
  const config = resolveConfig({
    preset: 'wan',
    file: { ...minimal, membership: { suspicionMult: 7, indirectProbes: 1 } },
    environment: { SKEIN_MEMBERSHIP_INDIRECT_PROBES: '2', SKEIN_ROUTING_RETRIES_MAX: '3' },
    code: { routing: { retriesMax: 4 } }
  })
  t.match(config, {
    membership: { probeIntervalMs: 5_000, suspicionMult: 7, indirectProbes: 2 },
    routing: { retriesMax: 4 }
  })
})

t.test('environment variables take numbers, words, booleans and lists', async (t) => {
  const config = resolveConfig({
    environment: {
      SKEIN_NODE_ID: 'a',
      SKEIN_NODE_DATA_DIRECTORY: '/d',
      SKEIN_CLUSTER_SEEDS: 'one:1, two:2',
      SKEIN_SECURITY_INSECURE: 'true',
      SKEIN_ROUTING_QUERY_TIMEOUT_MS: '750',
      OTHER: 'ignored',
      SKEIN_ROUTING_STRATEGY: undefined
    }
  })
  t.match(config, {
    node: { id: 'a', dataDirectory: '/d' },
    cluster: { seeds: ['one:1', 'two:2'] },
    security: { insecure: true },
    routing: { queryTimeoutMs: 750, strategy: 'adaptive' }
  })
})

t.test('every preset keeps every relation', async (t) => {
  for (const preset of presetNames) t.same(faultsOf({ preset, code: minimal }), [], preset)
  t.same(pathsOf({ preset: 'moon' as 'lan', code: minimal }), ['preset'])
})

t.test('the answer is frozen throughout, and the given objects are left alone', async (t) => {
  const code = structuredClone(minimal)
  const config = resolveConfig({ code })
  t.same(code, minimal)
  t.notOk(Object.isFrozen(code.node))
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    t.ok(Object.isFrozen(value))
    for (const child of Object.values(value)) visit(child)
  }
  visit(config)
  t.throws(() => {
    Object.assign(config.routing, { retriesMax: 1 })
  }, TypeError)
})

t.test('reloadable fields exist', async (t) => {
  const config = resolveConfig({ code: minimal }) as unknown as Record<string, object>
  for (const path of reloadable) {
    const [section = '', field = ''] = path.split('.')
    t.ok(Object.hasOwn(config[section] ?? {}, field), path)
  }
})

t.test('a live configuration changes whole, and follows a strategy set elsewhere', async (t) => {
  let strategy = 'adaptive'
  const applied: unknown[] = []
  const live = new LiveConfig(resolveConfig({ code: minimal }), {
    strategy: () => strategy,
    faultsOf: ({ routing }) =>
      routing.strategy === 'bad' ? [{ path: 'routing.strategy', message: 'is unknown' }] : [],
    apply: ({ routing }) => {
      applied.push(routing.retriesMax)
      strategy = routing.strategy
    }
  })
  const before = live.current()
  const after = live.change({ routing: { retriesMax: 3 } })
  t.equal(after.routing.retriesMax, 3)
  t.equal(live.current(), after)
  t.ok(Object.isFrozen(after) && Object.isFrozen(after.routing))
  t.not(before.routing.retriesMax, 3, 'what was handed out stays as it was')
  strategy = 'mine'
  t.equal(live.current().routing.strategy, 'mine')
  t.equal(live.change({ routing: { retriesMax: 4 } }).routing.strategy, 'mine')
  for (const changes of [
    { routing: { strategy: 'bad', retriesMax: 1 } },
    { routing: { retriesMax: 1_000 } },
    { routing: { retriesMax: 1 }, node: { rack: 'r' } },
    JSON.parse('{"__proto__":{"a":1},"routing":{"retriesMax":1}}'),
    { constructor: { a: 1 }, routing: { retriesMax: 1 } },
    undefined
  ]) {
    t.throws(() => live.change(changes), { code: 'ERR_SKEIN_INVALID_CONFIG' })
  }
  t.same(applied, [3, 4])
  t.equal(live.current().routing.retriesMax, 4)
})
