import type { ClientId } from '../../core/ids.js'
import type { ClientTag } from '../../core/ports/replicated-group.js'
import type { ClientLimits, ClientTable } from '../client-table.js'

/**
 * The commands that one entry executes, as if each had an entry of its own: none twice, and none of
 * which its client has said, with a command before it, that it waits for no answer any more.
 */
export class NewCommands {
  readonly #table: ClientTable
  readonly #logTime: number
  readonly #limits: ClientLimits
  readonly #told = new Map<ClientId, { readonly serials: Set<number>; answeredBelow: number }>()

  constructor(table: ClientTable, logTime: number, limits: ClientLimits) {
    this.#table = table
    this.#logTime = logTime
    this.#limits = limits
  }

  /** Asked in the order in which they are executed; true: this one is. */
  isNew(tag: ClientTag): boolean {
    if (this.#table.lookup(tag, this.#logTime, this.#limits).kind !== 'new') return false
    const { clientId, serial, answeredBelow } = tag
    const told = this.#told.get(clientId) ?? { serials: new Set<number>(), answeredBelow: 0 }
    if (told.serials.has(serial) || serial < told.answeredBelow) return false
    told.serials.add(serial)
    told.answeredBelow = Math.max(told.answeredBelow, answeredBelow)
    this.#told.set(clientId, told)
    return true
  }
}
