/** `docs/seeds.md`: every name of the first designs has a row, and what the row names exists. */
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { counterEngine } from '../examples/embed.js'
import { declaredCatalogue } from '../lib/catalogue.js'
import * as skein from '../lib/index.js'
import { metricCatalogue } from '../src/admin/metrics/catalogue.js'
import * as limits from '../src/core/limits.js'
import { shapeOf } from '../src/wire/index.js'

const root = new URL('../../', import.meta.url)
const page = readFileSync(new URL('docs/seeds.md', root), 'utf8')

interface Row {
  readonly theirs: string
  readonly ours: string
  readonly rest: readonly string[]
}

/** Rows of the table under a heading, by the name of theirs. */
function rowsOf(heading: string): Row[] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.trim())
      const [theirs = '', ...others] = cells.slice(1, -1).map((cell) => cell.replaceAll('`', ''))
      const ours = heading === 'Settings' ? (others[1] ?? '') : (others[0] ?? '')
      return { theirs, ours, rest: others }
    })
}

const words = (text: string): string[] => text.trim().split(/\s*\n\s*|\s+/)

/** What the first designs name, by heading; sessions, transactions and the like are rows too. */
const named: Readonly<Record<string, readonly string[]>> = {
  Metrics: words(`
    ping_count ack_count suspect_count failed_ping_count gossip_messages_sent
    gossip_messages_received topology_changes partition_detections
    messages_sent messages_received bytes_sent bytes_received connection_errors
    active_connections failed_sends
    queries_routed routing_failures locality_hits cross_dc_queries hotspots_detected
    rebalance_operations
    failover_events leader_elections session_migrations transaction_recoveries rolling_restarts
    health_checks failed_health_checks average_latency_ms packet_loss_rate bandwidth_mbps
    route_optimizations`),
  Methods: words(`
    ClusterNetworkManager::new start join_cluster get_cluster_members get_alive_members
    route_query send_message broadcast_message health_check get_all_metrics rolling_restart
    set_routing_strategy add_node remove_node subscribe_to_events
    ClusterMessage::new is_request is_response message_type
    receive_message send_to_peer update_config get_config current_timestamp get_cluster_status`),
  Envelope: words(`
    message_id source destination timestamp message_type request_id priority version`),
  'Fields of messages': words(`
    RequestVote.term RequestVote.candidate_id RequestVote.last_log_index
    RequestVote.last_log_term AppendEntries.term AppendEntries.leader_id AppendEntries.entries
    JoinRequest.node_id LeaveRequest.node_id Query.sql Query.priority QueryResult.result
    ReplicationLog.lsn ReplicationLog.data HeartBeat.node MetadataSync.data
    HeartbeatPing.status HeartbeatPong.status TransactionPrepare.txn_id TransactionPrepare.data
    TransactionCommit.txn_id TransactionAbort.txn_id SyncServiceRequest.mode
    SyncServiceResponse.version FileTransferChunk.checksum Custom.msg_type Custom.payload`),
  Structures: words(`
    NodeInfo.id NodeInfo.addr NodeInfo.state NodeInfo.incarnation NodeInfo.metadata
    NodeInfo.last_seen NodeInfo.datacenter NodeInfo.rack NodeInfo.capacity
    health.healthy health.metrics`),
  Values: words(`
    NodeState.Alive NodeState.Suspect NodeState.Dead NodeState.Left NodeState.Joining
    ServerStatus.Healthy ServerStatus.Degraded ServerStatus.ShuttingDown
    MessagePriority.Critical MessagePriority.High MessagePriority.Normal MessagePriority.Low
    MembershipEvent.NodeJoined MembershipEvent.NodeFailed`),
  Strategies: [
    'Round Robin',
    'Least Connections',
    'Weighted Round Robin',
    'Locality Aware',
    'Adaptive'
  ],
  Parts: words(`
    ClusterTopologyManager NodeConnectionPool GossipProtocol ReliableMessaging
    ClusterLoadBalancer HotspotDetector ConnectionAffinity FailoverCoordinator
    RaftLeaderElection SessionMigrationManager TransactionRecoveryManager
    RollingRestartCoordinator NetworkHealthMonitor LatencyTracker RouteOptimizer
    ProtocolHandler HeartbeatService PeerRegistry TransferHandler StateSynchronization
    TenantMetadata CircuitBreaker`)
}

/** Settings of the first designs with the numbers that they state. */
const settings: Readonly<Record<string, string>> = {
  'Protocol period': '1000',
  'Suspect timeout': '5000',
  'Ping timeout': '500',
  'Indirect ping count': '3',
  'Gossip fanout': '3',
  'Quorum requirements': 'configurable',
  'Concurrent streams': '100',
  'Automatic retries': '3',
  'Routing strategy': 'adaptive',
  'Current connection load': '0.3',
  'Query latency': '0.3',
  'Resource utilization': '0.2',
  'Data locality': '0.2',
  'Hotspot threshold': '1000',
  'Hotspot window': '60000',
  'Affinity timeout': '3600000',
  'Latency measurement': '5000',
  'Bandwidth monitoring': '10000',
  'Packet loss detection': '15000',
  'Route optimization': '60000',
  'Rolling window': '100',
  'Message type restrictions': 'configurable',
  'Header overhead': '32',
  heartbeat_interval: '30000',
  heartbeat_timeout: '60000',
  max_retries: 'unnamed',
  read_timeout: '30000',
  write_timeout: '30000',
  max_message_size: '104857600',
  enable_compression: 'unnamed',
  buffer_size: 'unnamed'
}

/** A node on its own; `defaults` of its configuration are untouched. */
async function startNode(t: Test): Promise<skein.ClusterNetworkManager> {
  const manager = skein.ClusterNetworkManager.create({
    engine: counterEngine,
    config: {
      node: { id: 'a', listenAddress: '127.0.0.1:0', dataDirectory: t.testdir() },
      cluster: { bootstrap: { voters: ['a'] } },
      security: { insecure: true }
    }
  })
  t.teardown(() => manager.stop({ drain: false }))
  await manager.start()
  return manager
}

const at = (from: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((value, key) => Object(value)[key], from)

const camelCase = (text: string): string =>
  text.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())

t.test('every name has a row, and no row a name of nobody', async (t) => {
  for (const [heading, names] of Object.entries({ ...named, Settings: Object.keys(settings) })) {
    const told = rowsOf(heading).map(({ theirs }) => theirs)
    t.same([...told].sort(), [...names].sort(), heading)
  }
  const headings = [...page.matchAll(/^## (.*)$/gm)].map((match) => match[1])
  t.same([...headings].sort(), [...Object.keys(named), 'Settings'].sort())
})

t.test('metrics: a node that runs answers them, and each is described', async (t) => {
  const metrics = (await startNode(t)).getAllMetrics()
  for (const { theirs, ours } of rowsOf('Metrics')) {
    if (ours.startsWith('later: ')) {
      for (const [category, values] of Object.entries(metrics)) {
        t.notOk(theirs in values, `${theirs} is not in ${category} yet`)
      }
      continue
    }
    t.type(at(metrics, ours), 'number', ours)
    t.ok(at(metricCatalogue, ours), `${ours} is described`)
  }
})

t.test('methods: of a node that runs, of its class, or of the package', async (t) => {
  const manager = await startNode(t)
  const scope = { ...skein, manager }
  for (const { theirs, ours } of rowsOf('Methods')) {
    if (ours.startsWith('later: ')) t.notOk(camelCase(theirs) in manager, `${theirs} is to come`)
    else t.type(at(scope, ours), 'function', ours)
  }
})

t.test('envelope: what a frame shows', async (t) => {
  const bytes = Buffer.alloc(32)
  bytes.writeUInt32BE(28)
  bytes.writeUInt8(1, 4)
  const frame = skein.inspect(bytes).frames[0]
  for (const { ours } of rowsOf('Envelope')) t.ok(ours in Object(frame), ours)
})

t.test('fields of messages: as declared', async (t) => {
  const all = declaredCatalogue().all()
  for (const { ours } of rowsOf('Fields of messages')) {
    const [name, field] = ours.split('.')
    const declared = all.find((each) => each.name === name)
    const shape = declared === undefined ? '' : shapeOf(declared.codec.spec)
    t.match(shape, new RegExp(`[{ ]${field}(\\?\\d+)?: `), ours)
  }
})

t.test('structures: of the member that a node is, and of its report', async (t) => {
  const manager = await startNode(t)
  const scope = { member: manager.getClusterMembers()[0], report: manager.healthCheck() }
  for (const { ours } of rowsOf('Structures')) t.not(at(scope, ours), undefined, ours)
})

const { Alive, Suspect, Dead } = skein.Livenesses
const { Joining, Up, Left, Leaving } = skein.Lifecycles
const { Healthy, Degraded } = skein.HealthStatuses

/** Every word that the mappings and the events can say, made by what says it. */
const states = [
  skein.toSeedNodeState({ liveness: Alive, lifecycle: Up }),
  skein.toSeedNodeState({ liveness: Suspect, lifecycle: Up }),
  skein.toSeedNodeState({ liveness: Dead, lifecycle: Up }),
  skein.toSeedNodeState({ liveness: Alive, lifecycle: Left }),
  skein.toSeedNodeState({ liveness: Alive, lifecycle: Joining })
]
const statuses = [
  skein.toServerStatus({ lifecycle: Up, health: Healthy }),
  skein.toServerStatus({ lifecycle: Up, health: Degraded }),
  skein.toServerStatus({ lifecycle: Leaving, health: Healthy })
]
const events: skein.ClusterEvent['type'][] = ['MemberJoined', 'MemberDied']

t.test('values: states, statuses, priorities, events', async (t) => {
  for (const { theirs, ours } of rowsOf('Values')) {
    const [set] = theirs.split('.')
    if (set === 'MessagePriority') t.type(at(skein, ours), 'number', ours)
    else if (set === 'NodeState')
      t.ok(
        states.some((state) => state === ours),
        ours
      )
    else if (set === 'ServerStatus')
      t.ok(
        statuses.some((status) => status === ours),
        ours
      )
    else
      t.ok(
        events.some((event) => event === ours),
        ours
      )
  }
})

t.test('strategies: a node takes each by its name', async (t) => {
  const manager = await startNode(t)
  for (const { ours } of rowsOf('Strategies')) {
    t.ok(manager.routing.strategies.includes(ours), ours)
    manager.setRoutingStrategy(ours)
    t.equal(manager.routing.strategy, ours)
  }
})

t.test('parts: a class in the file that the row names', async (t) => {
  for (const { ours, rest } of rowsOf('Parts')) {
    if (ours.startsWith('later: ')) continue
    const file = (rest[1] ?? '').replace(/\.ts$/, '.js')
    const exported: Record<string, unknown> = await import(
      new URL(`../${file}`, import.meta.url).href
    )
    t.type(exported[ours], 'function', `${ours} in ${file}`)
  }
})

t.test('settings: our default is the one told, and theirs unless the row says why', async (t) => {
  const config = skein.resolveConfig({
    code: {
      node: { id: 'a', dataDirectory: 'data' },
      cluster: { bootstrap: { voters: ['a'] } },
      security: { insecure: true }
    }
  })
  for (const { theirs, ours, rest } of rowsOf('Settings')) {
    const [stated, , told, why] = rest
    t.equal(stated, settings[theirs], `${theirs} as it was stated`)
    const value = at(ours.includes('.') ? config : limits, ours)
    t.equal(String(value), told, ours)
    t.not(value, undefined, ours)
    if (stated === told) t.equal(why, '', `${ours}: nothing to explain`)
    else t.not(why, '', `${ours}: why another`)
  }
})
