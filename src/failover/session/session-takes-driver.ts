/**
 * Takes the sessions that other nodes bring: looks whether this node can have one, has the control
 * group make it the home, and acknowledges. What it cannot have it refuses before that, and nothing
 * has changed.
 */
import { after } from '../../core/deadlines.js'
import { NotAuthorizedError } from '../../core/errors.js'
import type { NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { EngineSessions, SessionFault } from '../../core/ports/engine-sessions.js'
import type { Inbound, Messenger } from '../../core/ports/messenger.js'
import { clientMigration, cutDetail } from './messages.js'
import { messageOf, takeFault } from './session-checks.js'
import { isRefusal } from './session-errors.js'
import type { SessionHomeDriver } from './session-home-driver.js'

export interface SessionTakesComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly home: SessionHomeDriver
  readonly engine: EngineSessions | null
  /** @throws SqlError, SqlRefusedError it is no statement that could run */
  readonly check: (sql: string) => unknown
}

/** For an offer without a deadline. */
const takeTimeoutMs = 5_000

export class SessionTakesDriver {
  readonly #components: SessionTakesComponents
  readonly #self: NodeId

  constructor(components: SessionTakesComponents, self: NodeId) {
    this.#components = components
    this.#self = self
  }

  start(): void {
    this.#components.messenger.onRequest(clientMigration, (inbound) => this.#take(inbound))
  }

  async #take({ body, from, deadline }: Inbound<Brought>) {
    const { home, engine, clock } = this.#components
    if (from !== body.origin) throw new NotAuthorizedError('a session is moved by its home alone')
    const { session, origin, epoch, client, settings, prepared, seen, lastInsertRowid } = body
    const until = deadline ?? after(clock.now(), takeTimeoutMs)
    const fault = await this.#takeFault(body)
    if (fault !== null) return refusedBy(fault, epoch)
    const captured = { seen, lastInsertRowid }
    try {
      const taken = await home.change(
        { kind: 'take', session, from: origin, epoch, home: this.#self, ...captured },
        until
      )
      home.adopt({ id: session, client, epoch: taken.epoch, settings, prepared, ...captured })
      home.counters.add('sessions_taken')
      return { accepted: true, epoch: taken.epoch, refusal: null, detail: '' }
    } catch (error) {
      engine?.forget(session)
      if (!isRefusal(error)) throw error
      return refusedBy({ refusal: 'fenced', detail: messageOf(error) }, epoch)
    }
  }

  async #takeFault(body: Brought): Promise<SessionFault | null> {
    const { home, engine } = this.#components
    const refusal = home.fullness()
    if (refusal !== null) return { refusal, detail: `${this.#self} takes no sessions` }
    const fault = takeFault(body, this.#components)
    if (fault !== null) return fault
    if (engine === null) {
      if (body.state.length === 0) return null
      return { refusal: 'engineState', detail: `the engine of ${this.#self} keeps no sessions` }
    }
    return engine.restore(body.session, body.state)
  }
}

type Brought = NonNullable<(typeof clientMigration)['body']>

const refusedBy = ({ refusal, detail }: SessionFault, epoch: number) => ({
  accepted: false,
  epoch,
  refusal,
  detail: cutDetail(detail)
})
