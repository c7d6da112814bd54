/**
 * A client of the cluster, for programs that embed no node: `SkeinClient.connect`. It loads neither
 * an engine nor the admin server nor consensus.
 */
import type { ClientEventBody } from '../src/client/index.js'
import {
  ClientDriver,
  type ClientQueryOptions,
  KnownCluster,
  type SessionOptions,
  type SqlSession
} from '../src/client/index.js'
import {
  type ClientConfig,
  type ClientConfigInput,
  type EngineProvider,
  type EventSubscription,
  type Member,
  type MetricsSnapshot,
  type Numbered,
  type QueryResult,
  type RouteDecision,
  type RouteExplanation,
  type RouteOptions,
  resolveClientConfig,
  type Statement
} from '../src/core/index.js'
import { controlMessages, TransportDriver } from '../src/network/index.js'
import { routingMessages } from '../src/routing/index.js'
import { Catalogue } from '../src/wire/index.js'
import { type ClientPorts, type IdentifiedPorts, openPorts } from './client-ports.js'

export type { ClientQueryOptions, SessionOptions, SqlSession } from '../src/client/index.js'
export {
  type ClientConfigInput,
  Consistencies,
  type Consistency,
  type ErrorCode,
  type EventSubscription,
  hasCode,
  Priorities,
  type Priority,
  type QueryResult,
  type RouteDecision,
  type RouteExplanation,
  type RouteOptions,
  SkeinError,
  type SqlValue,
  type Statement,
  type StatementResult
} from '../src/core/index.js'
export { type WriteEffect, WriteEffects, writeEffectOf } from '../src/routing/index.js'
export type { ClientPorts } from './client-ports.js'
export { version } from './version.js'
export type ClientEvent = Numbered<ClientEventBody>

export interface ConnectOptions extends ClientConfigInput {
  /** Tells reads from writes, for engines whose language is not SQL. */
  readonly classify?: EngineProvider['classify']
  readonly overrides?: Partial<ClientPorts>
}

/**
 * Knows the cluster, goes straight to the node that executes, and tries again elsewhere where that
 * is safe: a write keeps its serial, so it is executed once however often it is sent. Errors are
 * those of `ClusterNetworkManager`, by the same codes.
 */
export class SkeinClient {
  readonly #driver: ClientDriver
  readonly #reload: () => Promise<void>

  /**
   * Resolves when one of the addresses answered and told who the members are.
   * @throws InvalidConfigError, CertificateError, JoinFailedError
   */
  static async connect(options: ConnectOptions): Promise<SkeinClient> {
    const { classify, overrides = {}, ...given } = options
    const config = resolveClientConfig(given)
    const ports = await openPorts(config, overrides)
    const client = new SkeinClient(makeDriver(config, ports, classify), ports.reload)
    await client.#driver.connect()
    return client
  }

  private constructor(driver: ClientDriver, reload: () => Promise<void>) {
    this.#driver = driver
    this.#reload = reload
  }

  /** One statement, with its parameters: a list, or an object for named ones. */
  query(
    sql: string,
    params?: Statement['params'],
    options?: ClientQueryOptions
  ): Promise<QueryResult> {
    return this.#driver.query(sql, params, options)
  }

  /** One atomic command, or one snapshot when all are reads; one result each. */
  execute(statements: readonly Statement[], options?: ClientQueryOptions): Promise<QueryResult[]> {
    return this.#driver.execute(statements, options)
  }

  /**
   * Opens a SQL session: settings and prepared statements that outlive the node that has them. It
   * follows by itself when the cluster moves it, and is taken over elsewhere when its node is lost.
   * @throws InvalidArgumentError, NoEligibleNodeError, BackpressureError
   */
  openSession(options?: SessionOptions): Promise<SqlSession> {
    return this.#driver.openSession(options)
  }

  /** Decides, executes nothing. @throws NoEligibleNodeError, SqlError, SqlRefusedError */
  routeQuery(sql: string, options?: RouteOptions): RouteDecision {
    return this.#driver.routeQuery(sql, options)
  }

  /** The decision with everything that went into it. */
  explainRoute(sql: string, options?: RouteOptions): RouteExplanation {
    return this.#driver.explainRoute(sql, options)
  }

  getClusterMembers(): readonly Member[] {
    return this.#driver.getClusterMembers()
  }

  /** Connections, members and leaders as they change. */
  subscribeToEvents(): EventSubscription<ClientEvent> {
    return this.#driver.subscribeToEvents()
  }

  getAllMetrics(): MetricsSnapshot {
    return this.#driver.getAllMetrics()
  }

  /**
   * Reads the certificate files again, for the connections that are made from now on.
   * @throws CertificateError they do not fit; what was in use stays
   */
  reloadCertificates(): Promise<void> {
    return this.#reload()
  }

  /** Waits for what is on the way as long as `drainTimeoutMs`, then disconnects. */
  close(): Promise<void> {
    return this.#driver.close()
  }
}

function makeDriver(
  config: ClientConfig,
  ports: IdentifiedPorts,
  classify: EngineProvider['classify']
): ClientDriver {
  const { clock, random, crypto, streams, logger, identity } = ports
  const cluster = new KnownCluster()
  const transport = new TransportDriver(
    {
      clock,
      random: random.split('transport'),
      streams,
      catalogue: new Catalogue([...controlMessages, ...routingMessages]),
      logger: logger.child({ room: 'transport' }),
      addressOf: (nodeId) => cluster.addressOf(nodeId),
      nonces: crypto
    },
    {
      identity,
      clusterId: () => cluster.clusterId,
      onPeerClusterId: (id) => cluster.learnClusterId(id),
      listenAddress: null,
      config: config.transport
    }
  )
  return new ClientDriver(
    {
      clock,
      random,
      crypto,
      transport,
      logger: logger.child({ room: 'client' }),
      cluster,
      classify
    },
    { ...config, clientName: identity.name }
  )
}
