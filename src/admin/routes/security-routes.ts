import { z } from 'zod'
import type { ClusterManager } from '../../core/index.js'
import { listBodyBytesMax, type Route } from '../route.js'
import { keysAnswer, reloadAnswer, securityAnswer, tellAnswer } from './answers.js'
import { parse } from './request-bodies.js'

const keyId = z.string().regex(/^[0-9a-f]{8}$/, 'must be 8 lower-case hex digits')
const force = z.boolean().default(false)

const reloadBody = z.strictObject({ everywhere: z.boolean().default(false) })
const revokeBody = z.strictObject({
  list: z.string().min(1).max(1_000_000).meta({ description: 'The signed list, PEM.' })
})
const installBody = z.strictObject({
  key: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hex digits')
    .optional()
    .meta({ description: 'Absent: a new one.' }),
  rotates: z.boolean().default(false),
  force
})
const keyBody = z.strictObject({ id: keyId, force })

/** Certificates, revocation and gossip keys; keys themselves are never answered. */
export const securityRoutes = (manager: ClusterManager): readonly Route[] => [
  ...certificateRoutes(manager),
  ...keyRoutes(manager)
]

const certificateRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    method: 'GET',
    url: '/v1/security',
    access: 'read',
    tag: 'security',
    about: 'The certificates in use, how long they last, and who is revoked.',
    answer: securityAnswer,
    handle: () => ({
      node: manager.nodeId,
      certificates: manager.security.certificates(),
      revocations: manager.security.revocations()
    })
  },
  {
    method: 'POST',
    url: '/v1/security/certificates/reload',
    access: 'admin',
    tag: 'security',
    about:
      'Reads the certificate files again, here or on every member; what does not fit is not taken.',
    body: reloadBody,
    answer: reloadAnswer,
    async handle(request) {
      const { everywhere } = parse(reloadBody, request.body ?? {})
      const report = everywhere ? await manager.security.reloadEverywhere() : null
      const certificates = everywhere
        ? manager.security.certificates()
        : await manager.security.reloadCertificates()
      return { certificates, report }
    }
  },
  {
    method: 'POST',
    url: '/v1/security/revocations',
    access: 'admin',
    tag: 'security',
    about: "Takes the authority's revocation list, tells all members, and cuts who is on it.",
    body: revokeBody,
    bodyBytesMax: listBodyBytesMax,
    answer: tellAnswer,
    handle(request) {
      const { list } = parse(revokeBody, request.body)
      return manager.security.revoke(new TextEncoder().encode(list))
    }
  }
]

const keyRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    method: 'GET',
    url: '/v1/keys',
    access: 'read',
    tag: 'security',
    about: 'Which gossip keys the members have, by the ids of the keys.',
    answer: keysAnswer,
    handle: () => manager.security.listKeys()
  },
  {
    method: 'POST',
    url: '/v1/keys/install',
    access: 'admin',
    tag: 'security',
    about: 'Installs a gossip key on every member: datagrams under it are understood.',
    body: installBody,
    answer: keysAnswer,
    handle(request) {
      const { key, ...options } = parse(installBody, request.body ?? {})
      return manager.security.installKey(key === undefined ? options : { ...options, key })
    }
  },
  {
    method: 'POST',
    url: '/v1/keys/use',
    access: 'admin',
    tag: 'security',
    about: 'Seals datagrams with this key from now on; refused until every member has it.',
    body: keyBody,
    answer: keysAnswer,
    handle(request) {
      const { id, force } = parse(keyBody, request.body)
      return manager.security.useKey(id, { force })
    }
  },
  {
    method: 'POST',
    url: '/v1/keys/remove',
    access: 'admin',
    tag: 'security',
    about: 'Removes a gossip key from every member; never the primary.',
    body: keyBody,
    answer: keysAnswer,
    handle(request) {
      const { id, force } = parse(keyBody, request.body)
      return manager.security.removeKey(id, { force })
    }
  }
]
