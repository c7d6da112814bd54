/**
 * Who may do what at the admin API. Roles contain one another: who may operate may read, who may
 * administer may do both.
 */
export const Roles = {
  /** Sees views, metrics, events and decisions; executes nothing. */
  Read: 'read',
  /** Also queries, and actions that can be taken back. */
  Operate: 'operate',
  /** Also keys, certificates and what cannot be taken back. */
  Admin: 'admin'
} as const
export type Role = (typeof Roles)[keyof typeof Roles]

/** `open` is asked by probes, which have no credentials. */
export type Access = Role | 'open'

/** Who asks, for authorisation and the audit trail. */
export interface Principal {
  readonly name: string
  readonly role: Role
}

const rank: Readonly<Record<Role, number>> = { read: 0, operate: 1, admin: 2 }

export const mayAccess = (role: Role, access: Access): boolean =>
  access === 'open' || rank[role] >= rank[access]
