import type { AppliedHandler, Control } from '../../../../src/control/index.js'
import { after } from '../../../../src/core/deadlines.js'
import { IndeterminateError, SqlRefusedError } from '../../../../src/core/errors.js'
import type { LogIndex, MonotonicMs, NodeId } from '../../../../src/core/ids.js'
import {
  type Incarnation,
  type Lifecycle,
  Lifecycles,
  type Member,
  silentLogger
} from '../../../../src/core/index.js'
import type { EngineSessions } from '../../../../src/core/ports/engine-sessions.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import type { SessionMoveReport } from '../../../../src/core/sql-sessions.js'
import { SqlSessionsDriver } from '../../../../src/failover/index.js'
import type {
  SessionAnswer,
  SessionChange
} from '../../../../src/failover/session/session-changes.js'
import type { Sessions } from '../../../../src/failover/session/session-record.js'
import { sessionOpen } from '../../../../src/routing/index.js'
import { MemoryNetwork } from '../../../support/memory-messenger.js'
import { testCrypto } from '../../../support/test-crypto.js'
import { VirtualClock } from '../../../support/virtual-clock.js'
import { HomeGroup, id, seen } from './home-group.js'

type Handler = AppliedHandler<Sessions, SessionChange, SessionAnswer>

/** Nodes with their drivers, over memory and virtual time, and one home group for all. */
export class SessionsWorld {
  readonly clock = new VirtualClock()
  readonly network = new MemoryNetwork(this.clock)
  readonly group = new HomeGroup()
  readonly nodes = new Map<NodeId, SqlSessionsDriver>()
  readonly lifecycles = new Map<NodeId, Lifecycle>()
  readonly homed: string[] = []
  /** The next changes of these kinds are made, and their answers lost. */
  readonly doubts: SessionChange['kind'][] = []
  /** The next changes of these kinds are lost themselves. */
  readonly losses: SessionChange['kind'][] = []
  readonly #handlers: Handler[] = []
  readonly #crypto = testCrypto(SplittableRandom.fromSeed(7))

  constructor(names: readonly string[], engines: Readonly<Record<string, EngineSessions>> = {}) {
    for (const name of names) this.#start(name as NodeId, engines[name] ?? null)
  }

  of(node: NodeId): SqlSessionsDriver {
    const driver = this.nodes.get(node)
    if (driver === undefined) throw new Error(node)
    return driver
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.clock.settle(promise)
  }

  /** As a program would. */
  async open(node: NodeId, n: number, settings: Record<string, string> = {}): Promise<void> {
    const client = this.network.nodes.get('client:app' as NodeId) ?? this.join()
    const deadline = after(this.clock.now(), 5_000)
    const given = Object.entries(settings).map(([name, value]) => ({ name, value }))
    const body = { session: id(n), token: this.#crypto.sha256(Uint8Array.of(n)), settings: given }
    await this.settle(client.request(node, sessionOpen, body, { deadline }))
  }

  join() {
    return this.network.join('client:app' as NodeId)
  }

  /** One query of the session, that ends when it is told to. */
  run(node: NodeId, n: number, index: number, ended: Promise<void> = Promise.resolve()) {
    const call = { session: id(n), client: 'app', statements: [{ sql: 'q' }], prepared: [] }
    const until = { deadline: after(this.clock.now(), 2_000) }
    return this.of(node).home.run(call, seen(0).group, until, async (session) => {
      await ended
      const seenIndex = session.seenIndexOf(seen(0).group)
      const result = { columns: [], rows: [[seenIndex]], rowsAffected: 1, lastInsertRowid: index }
      return { results: [result], index: index as LogIndex, node }
    })
  }

  move(node: NodeId, n: number, target: NodeId | null = null): Promise<SessionMoveReport> {
    const deadline = after(this.clock.now(), 8_000) as MonotonicMs
    return this.of(node).mover.move(id(n), { target, reason: 'requested', deadline })
  }

  stop(): void {
    for (const driver of this.nodes.values()) driver.stop()
  }

  #start(node: NodeId, engine: EngineSessions | null): void {
    this.lifecycles.set(node, Lifecycles.Up)
    const driver = new SqlSessionsDriver(
      {
        clock: this.clock,
        crypto: this.#crypto,
        messenger: this.network.join(node),
        logger: silentLogger,
        control: this.#control(),
        engine,
        lifecycle: () => this.lifecycles.get(node) ?? Lifecycles.Left,
        members: () => this.#members(),
        check: (sql) => {
          if (sql.startsWith('ATTACH')) throw new SqlRefusedError('ATTACH is refused')
        },
        onHomed: (session) => this.homed.push(`${node} ${session}`)
      },
      node
    )
    this.nodes.set(node, driver)
    driver.start()
  }

  #members(): Member[] {
    return [...this.lifecycles].map(([nodeId, lifecycle]) => ({
      nodeId,
      address: 'x:1',
      liveness: 'alive',
      lifecycle,
      health: 'healthy',
      datacenter: '',
      rack: '',
      incarnation: 0 as Incarnation,
      metadata: {},
      capacity: { weight: 100, cpus: 1, memoryBytes: 0 },
      tags: [],
      lastSeen: this.clock.now()
    })) as unknown as Member[]
  }

  #control(): Control {
    const change = async (given: SessionChange): Promise<SessionAnswer> => {
      await new Promise<void>((resolve) => this.clock.schedule(after(this.clock.now(), 1), resolve))
      if (take(this.losses, given.kind)) throw new IndeterminateError('it may have been made')
      this.group.now = Math.max(this.group.now, this.clock.wallNow())
      const answer = this.group.apply(given)
      const at = { index: 1 as LogIndex, now: this.clock.wallNow() }
      for (const handler of this.#handlers) handler(this.group.state, given, answer, at)
      if (take(this.doubts, given.kind)) throw new IndeterminateError('it may have been made')
      return answer
    }
    return {
      change: (_, given) => change(given as SessionChange) as Promise<never>,
      local: () => this.group.state as never,
      read: async () => this.group.state as never,
      onApplied: (_, handler) => {
        this.#handlers.push(handler as unknown as Handler)
      },
      isLeader: true,
      leader: () => null,
      onLeadership() {}
    } satisfies Control
  }
}

function take<T>(list: T[], wanted: T): boolean {
  const at = list.indexOf(wanted)
  if (at >= 0) list.splice(at, 1)
  return at >= 0
}
