export { formatAddress, type HostPort, parseAddress } from './addresses.js'
export { BoundPorts } from './bound-ports.js'
export { type CredentialFiles, FileCredentials } from './file-credentials.js'
export {
  type HandshakeCounterName,
  handshakeCounterNames,
  handshakesPerAddressMax
} from './handshake-gate.js'
export { InlineWorkers } from './inline-workers.js'
export { bindPortPair, type PortPair } from './listening.js'
export { makeDirectory } from './make-directory.js'
export { nodeClock } from './node-clock.js'
export { nodeCompression } from './node-compression.js'
export { nodeCrypto } from './node-crypto.js'
export { NodeDisk } from './node-disk.js'
export { type LogLevel, logLevels, type NodeLoggerOptions, nodeLogger } from './node-logger.js'
export { nodeRandom } from './node-random.js'
export { NodeWorkers, type NodeWorkersOptions } from './node-workers.js'
export { loadTracer } from './otel-tracer.js'
export { PlainStreamNetwork, type PlainStreamNetworkOptions } from './plain-stream-network.js'
export { runtimeName } from './runtime-name.js'
export { streamBufferBytesMax } from './socket-stream.js'
export {
  checkTlsMaterial,
  readSecretText,
  readTlsMaterial,
  type TlsFiles,
  type TlsMaterial
} from './tls-material.js'
export { TlsStreamNetwork, type TlsStreamNetworkOptions } from './tls-stream-network.js'
export { datagramCounterNames, UdpDatagramNetwork } from './udp-datagram-network.js'
