/** Node's own ports for a client, with those that a program gives in their place. */
import {
  CertificateError,
  type ClientConfig,
  type Clock,
  type Crypto,
  InvalidConfigError,
  type Logger,
  type PeerIdentity,
  peerNameOf,
  type Random,
  type StreamNetwork,
  silentLogger
} from '../src/core/index.js'
import {
  checkTlsMaterial,
  nodeClock,
  nodeCrypto,
  nodeRandom,
  PlainStreamNetwork,
  readTlsMaterial,
  type TlsMaterial,
  TlsStreamNetwork
} from '../src/runtime/index.js'

/** Ports of your own, for tests and simulation. */
export interface ClientPorts {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly streams: StreamNetwork
  readonly logger: Logger
}

type ClientIdentity = Extract<PeerIdentity, { kind: 'client' }>

interface Streams {
  readonly streams: StreamNetwork
  readonly identity: ClientIdentity
  readonly reload: () => Promise<void>
}

const nothingToReload = async (): Promise<void> => {}

export interface IdentifiedPorts extends ClientPorts, Streams {}

/** @throws InvalidConfigError, CertificateError */
export async function openPorts(
  config: ClientConfig,
  given: Partial<ClientPorts>
): Promise<IdentifiedPorts> {
  const clock = given.clock ?? nodeClock()
  const logger = given.logger ?? silentLogger
  return {
    clock,
    logger,
    random: given.random ?? nodeRandom(),
    crypto: given.crypto ?? nodeCrypto(),
    ...(given.streams === undefined
      ? await openStreams(config, { clock, logger })
      : { streams: given.streams, identity: namedIn(config), reload: nothingToReload })
  }
}

async function openStreams(
  config: ClientConfig,
  components: { readonly clock: Clock; readonly logger: Logger }
): Promise<Streams> {
  const { insecure, clusterName, transport } = config
  const { handshakeTimeoutMs, handshakesMax } = transport
  const limits = { handshakeTimeoutMs, handshakesMax }
  if (insecure) {
    const identity = namedIn(config)
    const streams = new PlainStreamNetwork(components, { self: identity, ...limits })
    return { streams, identity, reload: nothingToReload }
  }
  const read = () => readMaterial(config, components.clock)
  const material = await read()
  const streams = new TlsStreamNetwork(components, { material, ...limits })
  const identity = clientIn(material, clusterName)
  const reload = async () => {
    const renewed = await read()
    const { name } = clientIn(renewed, clusterName)
    if (name !== identity.name) {
      throw new CertificateError(`the certificate is that of client ${name}, not ${identity.name}`)
    }
    streams.reload(renewed)
  }
  return { streams, identity, reload }
}

/** @throws InvalidConfigError not given  @throws CertificateError broken, or not a client's */
async function readMaterial(config: ClientConfig, clock: Clock): Promise<TlsMaterial> {
  const { certificateFile, keyFile, caFile, certificate, key, ca: authority } = config
  const now = clock.wallNow()
  if (certificateFile && keyFile && caFile) {
    return readTlsMaterial({ certificateFile, keyFile, caFile }, now)
  }
  if (certificate && key && authority) {
    const names = { certificateFile: 'certificate', keyFile: 'key', caFile: 'ca' }
    return checkTlsMaterial({ certificate, key, authority }, names, now)
  }
  const message = 'certificateFile, keyFile and caFile are required unless insecure'
  throw new InvalidConfigError([{ path: 'certificateFile', message }])
}

function clientIn({ peer }: TlsMaterial, clusterName: string): ClientIdentity {
  if (peer.kind === 'client' && peer.clusterName === clusterName) return peer
  throw new CertificateError(
    `the certificate is that of ${peerNameOf(peer)}, no client of ${clusterName}`
  )
}

const namedIn = ({ clientName, clusterName }: ClientConfig): ClientIdentity => ({
  kind: 'client',
  name: clientName,
  clusterName
})
