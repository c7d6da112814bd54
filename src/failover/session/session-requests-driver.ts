/**
 * What programs ask of the node that is to be, or is, the home of their session: open, take over,
 * define, keep, close.
 */
import {
  BackpressureError,
  DrainingError,
  InvalidArgumentError,
  NotAuthorizedError
} from '../../core/errors.js'
import type { SessionEvent } from '../../core/events.js'
import type { NodeId } from '../../core/ids.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { EngineSessions } from '../../core/ports/engine-sessions.js'
import type { Inbound, Messenger } from '../../core/ports/messenger.js'
import {
  sessionAttach,
  sessionClose,
  sessionDefine,
  sessionKeep,
  sessionOpen
} from '../../routing/index.js'
import { type Definitions, mergeDefinitions } from './session-changes.js'
import { isSessionId, nameFault, settingFault, takeFault } from './session-checks.js'
import { ended, movedTo } from './session-errors.js'
import type { SessionHomeDriver } from './session-home-driver.js'
import { isSameBytes, tokenHashBytes } from './session-record.js'

export interface SessionRequestsComponents {
  readonly messenger: Messenger
  readonly crypto: Crypto
  readonly home: SessionHomeDriver
  readonly engine: EngineSessions | null
  /** @throws SqlError, SqlRefusedError it is no statement that could run */
  readonly check: (sql: string) => unknown
  readonly onEvent: (event: SessionEvent) => void
}

export class SessionRequestsDriver {
  readonly #components: SessionRequestsComponents
  readonly #self: NodeId

  constructor(components: SessionRequestsComponents, self: NodeId) {
    this.#components = components
    this.#self = self
  }

  start(): void {
    const { messenger } = this.#components
    messenger.onRequest(sessionOpen, (inbound) => this.#open(inbound))
    messenger.onRequest(sessionAttach, (inbound) => this.#attach(inbound))
    messenger.onRequest(sessionDefine, (inbound) => this.#define(inbound))
    messenger.onRequest(sessionKeep, (inbound) => this.#keep(inbound))
    messenger.onRequest(sessionClose, (inbound) => this.#close(inbound))
  }

  async #open({ body, peer, deadline }: Inbound<Body<typeof sessionOpen>>) {
    const { engine, home } = this.#components
    this.#expectRoom()
    const { session, token, settings } = body
    if (!isSessionId(session)) throw new InvalidArgumentError('session', '32 hex digits')
    expectHash('token', token)
    for (const setting of settings) {
      const fault = settingFault(setting, engine)
      if (fault !== null) throw new InvalidArgumentError('settings', fault)
    }
    const client = clientOf(peer)
    const until = home.until(deadline)
    const change = { kind: 'open', session, client, home: this.#self, token, settings } as const
    const { epoch } = await home.change(change, until)
    const record = epoch === 1 ? null : await home.record(session, until)
    const fresh = { id: session, client, settings, prepared: [], seen: [], lastInsertRowid: null }
    home.adopt({ ...(record ?? fresh), epoch })
    home.counters.add('sessions_opened')
    return { home: this.#self, epoch }
  }

  async #attach({ body, peer, deadline }: Inbound<Body<typeof sessionAttach>>) {
    const { home, crypto, onEvent } = this.#components
    this.#expectRoom()
    const { session, token: shown, next, from, seen, lastInsertRowid } = body
    if (shown.length !== tokenHashBytes) throw new InvalidArgumentError('token', '32 bytes')
    expectHash('next', next)
    const until = home.until(deadline)
    const known = await home.record(session, until)
    if (known === null) throw ended('closed, or nobody spoke for it in time')
    const client = clientOf(peer)
    const token = crypto.sha256(shown)
    // Its token is not used: its home was not lost, but moved while nobody listened.
    const isMoved = from !== undefined && from !== known.home && isSameBytes(token, known.token)
    if (isMoved && known.client === client) throw movedTo(session, known.home, known.epoch)
    const fault = takeFault(known, this.#components)
    if (fault !== null) throw new DrainingError(`${this.#self}: ${fault.detail}`)
    const captured = { seen, lastInsertRowid }
    const change = { kind: 'attach', session, client, home: this.#self, token, next } as const
    const { epoch } = await home.change({ ...change, ...captured }, until)
    const record = await home.record(session, until)
    if (record === null) throw ended('closed meanwhile')
    if (record.home !== this.#self) throw movedTo(session, record.home, record.epoch)
    home.adopt(record)
    home.counters.add('sessions_reattached')
    onEvent({ type: 'SessionReattached', session, client, home: this.#self, epoch })
    const { settings, prepared } = record
    return {
      home: this.#self,
      epoch: record.epoch,
      settings,
      prepared,
      seen: record.seen,
      lastInsertRowid: record.lastInsertRowid
    }
  }

  #define({ body, peer, deadline, signal }: Inbound<Body<typeof sessionDefine>>) {
    const { home } = this.#components
    const { session: id, settings, prepared } = body
    const until = { deadline: home.until(deadline), signal }
    const asked = { session: id, client: clientOf(peer) }
    return home.within(asked, until, async (session) => {
      this.#checkDefinitions({ settings, prepared })
      const { epoch } = session
      const definitions = { settings, prepared }
      const change = { kind: 'define', session: id, home: this.#self, epoch } as const
      await home.change({ ...change, ...definitions }, until.deadline)
      const now = home.table.of(id)
      const defined = now === null ? null : mergeDefinitions(now, definitions)
      if (defined !== null) home.table.define(id, defined)
      return { epoch }
    })
  }

  async #keep({ body, peer, deadline, signal }: Inbound<Body<typeof sessionKeep>>) {
    const { home } = this.#components
    const until = { deadline: home.until(deadline), signal }
    const asked = { session: body.session, client: clientOf(peer) }
    const here = home.table.of(body.session)
    // Held, it would look like a lost home to a program that only waits for its own request.
    if (here?.isMoving && here.client === asked.client) return { epoch: here.epoch }
    return home.within(asked, until, async ({ epoch }) => ({ epoch }))
  }

  #close({ body, peer, deadline, signal }: Inbound<Body<typeof sessionClose>>) {
    const { home } = this.#components
    const until = { deadline: home.until(deadline), signal }
    const asked = { session: body.session, client: clientOf(peer) }
    return home.within(asked, until, async ({ id, epoch }) => {
      await home.change({ kind: 'close', session: id, home: this.#self, epoch }, until.deadline)
      home.end(id, epoch)
      return {}
    })
  }

  #checkDefinitions({ settings, prepared }: Definitions): void {
    const { engine } = this.#components
    for (const { name, value } of settings) {
      const fault = value === null ? nameFault(name) : settingFault({ name, value }, engine)
      if (fault !== null) throw new InvalidArgumentError('settings', fault)
    }
    for (const { name, sql } of prepared) {
      const fault = nameFault(name)
      if (fault !== null) throw new InvalidArgumentError('prepared', fault)
      if (sql !== null) this.#components.check(sql)
    }
  }

  #expectRoom(): void {
    const { home } = this.#components
    const fullness = home.fullness()
    if (fullness === 'targetDraining') throw new DrainingError(`${this.#self} takes no sessions`)
    if (fullness === 'targetFull') {
      throw new BackpressureError(`${this.#self} has ${home.table.size} sessions`)
    }
  }
}

type Body<Type> = Type extends { readonly body?: infer B } ? NonNullable<B> : never

function clientOf(peer: Inbound<unknown>['peer']): string {
  if (peer.kind === 'client') return peer.name
  throw new NotAuthorizedError('sessions are programs’')
}

function expectHash(field: string, given: Uint8Array): void {
  if (given.length !== tokenHashBytes) throw new InvalidArgumentError(field, 'a SHA-256')
}
