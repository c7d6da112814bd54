/** Node's own ports for a configuration, with an embedder's in the place of those it gives. */
import {
  type Clock,
  type Config,
  type Credentials,
  type Logger,
  type NodeId,
  outsideTraces,
  type StreamNetwork,
  silentLogger
} from '../src/core/index.js'
import { readGossipKeys } from '../src/network/index.js'
import {
  FileCredentials,
  loadTracer,
  NodeDisk,
  NodeWorkers,
  nodeClock,
  nodeCompression,
  nodeCrypto,
  nodeRandom,
  PlainStreamNetwork,
  TlsStreamNetwork,
  UdpDatagramNetwork
} from '../src/runtime/index.js'
import type { Ports } from './composition.js'
import { version } from './version.js'

export interface PortsAndKeys {
  readonly ports: Ports
  /** 32 bytes each, the first seals; null: insecure. */
  readonly gossipKeys: readonly Uint8Array[] | null
}

interface Streams {
  readonly streams: StreamNetwork
  readonly credentials?: Credentials
}

/** @throws CertificateError a file that `security` names is missing, broken or of another node */
export async function makePorts(config: Config, overrides: Partial<Ports>): Promise<PortsAndKeys> {
  const tracer = overrides.tracer === undefined ? await loadTracer(version) : overrides.tracer
  const ownClock = overrides.clock ?? nodeClock()
  const clock = tracer === null ? ownClock : outsideTraces(ownClock, tracer)
  const logger = overrides.logger ?? silentLogger
  if (config.security.insecure) {
    logger.warn(
      { nodeId: config.node.id },
      'INSECURE: no encryption and no authentication; for tests on one machine only'
    )
  }
  const { streams, credentials = overrides.credentials } =
    overrides.streams === undefined
      ? await makeStreams(config, { clock, logger })
      : { streams: overrides.streams }
  return {
    ports: {
      clock,
      logger,
      random: overrides.random ?? nodeRandom(),
      crypto: overrides.crypto ?? nodeCrypto(),
      compression: overrides.compression ?? nodeCompression(),
      disk: overrides.disk ?? new NodeDisk(config.node.dataDirectory),
      streams,
      credentials,
      workers: overrides.workers ?? new NodeWorkers({ logger }),
      datagrams: overrides.datagrams ?? new UdpDatagramNetwork({ logger }),
      observer: overrides.observer,
      tracer
    },
    gossipKeys: overrides.gossipKeys ?? (await readKeys(config))
  }
}

async function readKeys({ security }: Config): Promise<readonly Uint8Array[] | null> {
  const { insecure, gossipKeyFile } = security
  return insecure || gossipKeyFile === undefined ? null : await readGossipKeys(gossipKeyFile)
}

async function makeStreams(
  config: Config,
  components: { readonly clock: Clock; readonly logger: Logger }
): Promise<Streams> {
  const { handshakeTimeoutMs, handshakesMax } = config.transport
  const limits = { handshakeTimeoutMs, handshakesMax }
  const { insecure, certificateFile, keyFile, caFile, revocationFile } = config.security
  const nodeId = config.node.id as NodeId
  if (insecure || !certificateFile || !keyFile || !caFile) {
    const self = { kind: 'node', nodeId, clusterName: config.cluster.name } as const
    return { streams: new PlainStreamNetwork(components, { self, ...limits }) }
  }
  const files = { certificateFile, keyFile, caFile, revocationFile }
  const self = { nodeId, clusterName: config.cluster.name }
  const credentials = await FileCredentials.open(components, files, self)
  const { material, judge } = credentials
  const streams = new TlsStreamNetwork(components, { material, judge, ...limits })
  credentials.onChange((changed) => streams.reload(changed))
  return { streams, credentials }
}
