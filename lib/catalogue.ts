/** Every message of the house: what a node speaks, and what is declared for rooms to come. */
import { groupMessages, raftDeclarations } from '../src/consensus/index.js'
import {
  sessionMessages,
  stateTransferMessages,
  transactionMessages
} from '../src/failover/index.js'
import { healthMessages } from '../src/health/index.js'
import { controlMessages, membershipMessages } from '../src/network/index.js'
import { routingMessages } from '../src/routing/index.js'
import { Catalogue } from '../src/wire/index.js'

const spoken = [
  ...controlMessages,
  ...membershipMessages,
  ...Object.values(raftDeclarations),
  ...groupMessages,
  ...routingMessages,
  ...healthMessages
]

/** Known by number and shape; a node that receives one answers ERR_SKEIN_UNKNOWN_MESSAGE. */
const notSpokenYet = [...transactionMessages, ...sessionMessages, ...stateTransferMessages]

/** Every message that a node takes and sends. */
export const catalogue = (): Catalogue => new Catalogue(spoken)

/** Every message that is declared, for inspection and documentation. */
export const declaredCatalogue = (): Catalogue => new Catalogue([...spoken, ...notSpokenYet])
