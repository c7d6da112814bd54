export { CustomHandlers } from './custom/custom-handlers.js'
export { customMessage, customMessages } from './custom/messages.js'
export { DeliveryDriver } from './delivery/delivery-driver.js'
export { deliveryMessages } from './delivery/messages.js'
export { type JoinSettings, joinSettingsOf } from './membership/compatibility.js'
export {
  type MembershipComponents,
  type MembershipCounterName,
  MembershipDriver,
  type MembershipOptions
} from './membership/membership-driver.js'
export type { MembershipMessenger } from './membership/membership-messenger.js'
export { membershipMessages } from './membership/messages.js'
export type { Quorum } from './membership/partition/quorum-guard.js'
export { controlMessages } from './mux/messages.js'
export type { TransportCounter, TransportCounters } from './mux/transport-counters.js'
export { TransportDriver } from './pool/transport-driver.js'
export type { TransportComponents, TransportOptions } from './pool/transport-options.js'
export {
  type AuthorityFiles,
  authorityClusterName,
  authorityDaysDefault,
  authorityFiles,
  type CertificateFacts,
  createAuthority,
  inspectCertificate,
  installPair,
  issuedPeers,
  issuePeer,
  leafDaysDefault,
  type PeerFiles,
  peerFiles,
  type Revocation,
  revoke
} from './security/certificates-store.js'
export { gossipKeysMax } from './security/datagram-keyring.js'
export { readGossipKeys } from './security/gossip-keys-store.js'
export {
  type DatagramInspection,
  type InspectDatagramOptions,
  inspectDatagram
} from './security/inspect-datagram.js'
export { type MessageRestrictions, restrictionFaults } from './security/message-policy.js'
export { securityMessages } from './security/messages.js'
export {
  type SecurityComponents,
  SecurityDriver,
  type SecurityOptions
} from './security/security-driver.js'
