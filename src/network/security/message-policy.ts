/**
 * Who may send what: role × type, denied unless a declaration allows it. Restrictions of the
 * configuration take away from that and never add.
 */
import type { Config } from '../../core/config/schema.js'
import type { ConfigFault } from '../../core/errors.js'
import type { PeerIdentity } from '../../core/ports/stream-network.js'
import type { AnyDeclaration, Catalogue, SenderRole } from '../../wire/index.js'
import { errorAnswer } from '../mux/messages.js'

export type MessageRestrictions = Config['security']['messageRestrictions']

const roles: readonly SenderRole[] = ['node', 'client']
const noRestrictions: MessageRestrictions = { node: [], client: [] }

export class MessagePolicy {
  readonly #denied: Readonly<Record<SenderRole, ReadonlySet<string>>>

  constructor(restrictions: MessageRestrictions = noRestrictions) {
    this.#denied = { node: new Set(restrictions.node), client: new Set(restrictions.client) }
  }

  /** Null: `sender` may send it to `receiver`. Otherwise why not, as a clause. */
  refusalOf(
    declaration: AnyDeclaration,
    sender: PeerIdentity,
    receiver: PeerIdentity
  ): string | null {
    const { name } = declaration
    if (!declaration.senders.includes(sender.kind)) return `a ${sender.kind} may not send ${name}`
    if (!declaration.receivers.includes(receiver.kind))
      return `${name} is not for a ${receiver.kind}`
    if (this.#denied[sender.kind].has(name)) return `${name} is denied to a ${sender.kind} here`
    return null
  }
}

/** Names that no message has, and messages that the connection itself cannot do without. */
export function restrictionFaults(
  restrictions: MessageRestrictions,
  catalogue: Catalogue
): ConfigFault[] {
  const byName = new Map(catalogue.all().map((declaration) => [declaration.name, declaration]))
  return roles.flatMap((role) =>
    restrictions[role].flatMap((name, i) => {
      const path = `security.messageRestrictions.${role}.${i}`
      const declaration = byName.get(name)
      if (declaration === undefined) return [{ path, message: `no message is called ${name}` }]
      if (declaration.number <= errorAnswer.number) {
        return [{ path, message: `${name} runs the connection and cannot be denied` }]
      }
      if (declaration.kind === 'response') {
        return [{ path, message: `${name} is a response: deny its request` }]
      }
      return []
    })
  )
}
