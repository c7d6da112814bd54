import { counter, gauge, type MetricFamily } from './metric.js'

/** Who was let in, and who was not. */
export const security: MetricFamily = {
  handshakes_accepted: counter('Inbound connections that proved who they are.'),
  dials_succeeded: counter('Dialled connections that proved who they are.'),
  dials_failed: counter('Dials that ended before a proof.'),
  dials_refused_identity: counter('Dials that found somebody else.'),
  refused_too_many: counter('Inbound connections beyond the bound of half-open ones.'),
  refused_timeout: counter('Inbound connections that did not finish their handshake.'),
  refused_no_certificate: counter('Inbound connections without a certificate.'),
  refused_untrusted: counter('Inbound connections with a certificate of nobody we trust.'),
  refused_expired: counter(
    'Inbound connections with an expired certificate, or one not yet valid.'
  ),
  refused_identity: counter('Inbound connections whose certificate names no peer of this cluster.'),
  refused_revoked: counter('Inbound connections with a revoked certificate.'),
  refused_key_updates: counter('Connections that updated their keys too often.'),
  refused_version: counter('Inbound connections of another protocol or version.'),
  refused_protocol: counter('Inbound connections that broke the handshake.'),
  datagrams_refused_oversized: counter('Datagrams longer than any of ours.'),
  datagrams_refused_truncated: counter('Datagrams shorter than any of ours.'),
  datagrams_refused_unknown_version: counter('Datagrams of another version.'),
  datagrams_refused_foreign_cluster: counter('Datagrams of another cluster.'),
  datagrams_refused_wrong_key: counter('Datagrams sealed with a key that is not installed.'),
  datagrams_refused_forged: counter('Datagrams whose seal is wrong.'),
  datagrams_refused_old_boot: counter('Datagrams of an earlier life of their sender.'),
  datagrams_refused_replayed: counter('Datagrams that came before.'),
  datagrams_refused_reflected: counter('Datagrams of our own that came back.'),
  datagrams_refused_malformed: counter('Datagrams whose content cannot be read.'),
  certificate_reloads: counter('Certificates taken into use.'),
  certificate_reloads_failed: counter('Certificates refused; the old one stayed.'),
  certificate_days_left: gauge('Until the certificate of this node expires.', 'days'),
  revocation_lists_taken: counter('Revocation lists taken.'),
  revocations_refused: counter('Revocation lists refused.'),
  revoked_certificates_current: gauge('Certificates and names that are revoked.'),
  links_cut_revoked: counter('Open connections cut, because the peer was revoked.'),
  links_cut_expired: counter('Open connections cut, because the certificate expired.'),
  gossip_keys_current: gauge('Gossip keys installed.'),
  gossip_key_changes: counter('Changes of the key ring.'),
  gossip_key_changes_refused: counter('Changes of the key ring refused.'),
  gossip_keys_fetched: counter('Key rings fetched from others.')
}
