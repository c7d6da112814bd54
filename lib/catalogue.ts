/** Every message of the house: what a node speaks, and what is declared for rooms to come. */
import { groupMessages, hostMessages, raftDeclarations } from '../src/consensus/index.js'
import { controlGroupMessages } from '../src/control/index.js'
import { InvalidArgumentError } from '../src/core/index.js'
import {
  drainMessages,
  logFollowerMessages,
  sessionMessages,
  stateTransferMessages,
  transactionMessages
} from '../src/failover/index.js'
import { healthMessages } from '../src/health/index.js'
import {
  controlMessages,
  customMessages,
  deliveryMessages,
  membershipMessages,
  securityMessages
} from '../src/network/index.js'
import { routingMessages } from '../src/routing/index.js'
import { Catalogue, type CustomDeclaration, conflictsOf } from '../src/wire/index.js'

const spoken = [
  ...controlMessages,
  ...deliveryMessages,
  ...membershipMessages,
  ...securityMessages,
  ...Object.values(raftDeclarations),
  ...groupMessages,
  ...hostMessages,
  ...controlGroupMessages,
  ...routingMessages,
  ...healthMessages,
  ...drainMessages,
  ...sessionMessages,
  ...stateTransferMessages,
  ...transactionMessages,
  ...customMessages
]

/** Known by number and shape; a node that receives one answers ERR_SKEIN_UNKNOWN_MESSAGE. */
const notSpokenYet = [...logFollowerMessages]

/**
 * Every message that a node takes and sends; `own` are the embedder's.
 * @throws InvalidArgumentError one of its own has a number or a name that is taken
 */
export const catalogue = (own: readonly CustomDeclaration[] = []): Catalogue =>
  extended(spoken, own)

/** Every message that is declared, for inspection and documentation. */
export const declaredCatalogue = (own: readonly CustomDeclaration[] = []): Catalogue =>
  extended([...spoken, ...notSpokenYet], own)

function extended(ours: readonly unknown[], own: readonly CustomDeclaration[]): Catalogue {
  const all = [...ours, ...own]
  const conflicts = conflictsOf(all)
  if (conflicts.length > 0) {
    throw new InvalidArgumentError('messages', conflicts.join('; '), conflicts)
  }
  return new Catalogue(all)
}
