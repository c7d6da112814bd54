import { after } from '../../core/deadlines.js'
import { IndeterminateError, NoEligibleNodeError, type SkeinError } from '../../core/errors.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import { isServing, type Member } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { Random } from '../../core/ports/random.js'
import { hasCode } from '../../core/remote-error.js'
import { changeSchema } from '../messages.js'
import { Outcomes, outcomeOf } from '../retry-policy.js'
import type { QueryHome } from '../sessions/sql-session.js'
import type { WaitingDriver } from '../waiting-driver.js'
import type { ChangeSchema } from './shard-runner-driver.js'

interface SchemaRequestComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly members: () => readonly Member[]
  readonly waiting: WaitingDriver
}

/** At a client: has a member make a change of the schema, and asks another where one is lost. */
export class SchemaRequestDriver {
  readonly #parts: SchemaRequestComponents
  readonly #pauseMs: number

  constructor(components: SchemaRequestComponents, options: { readonly retryBackoffMs: number }) {
    this.#parts = components
    this.#pauseMs = options.retryBackoffMs
  }

  /** The same id each time: whoever is asked, it is one change. */
  readonly change: ChangeSchema = async ({ id, sql, deadline }, home) => {
    const { clock, messenger, waiting } = this.#parts
    let isInDoubt = false
    let last: unknown = new NoEligibleNodeError('no member takes a change of the schema')
    let avoid: NodeId | null = null
    while (clock.now() < deadline) {
      const node: NodeId | null = await this.#nodeFor(home, avoid, deadline)
      if (node !== null) {
        try {
          const session = home === undefined ? {} : { session: home.session }
          await messenger.request(node, changeSchema, { id, sql, ...session }, { deadline })
          return
        } catch (error) {
          home?.handleFailure(node, error)
          const outcome = outcomeOf(error)
          if (outcome === Outcomes.Final || isTold(error)) throw error
          isInDoubt ||= outcome === Outcomes.Unknown
          last = error
          avoid = node
        }
      }
      await waiting.pauseUntil(after(clock.now(), this.#pauseMs), undefined)
    }
    if (!isInDoubt) throw last
    throw new IndeterminateError(`schema change ${id} may have begun, and goes on then`, {
      cause: last,
      details: { schemaChange: id }
    })
  }

  /** A session's home, or any member but the one that failed last. @throws why the session ended */
  async #nodeFor(
    home: QueryHome | undefined,
    avoid: NodeId | null,
    deadline: MonotonicMs
  ): Promise<NodeId | null> {
    if (home !== undefined) {
      if (home.fault() === null && home.node() === null) {
        await this.#parts.waiting.settledBy(home.found(), deadline)
      }
      const fault = home.fault()
      if (fault !== null) throw fault
      return home.node()
    }
    const serving = this.#parts.members().filter(isServing)
    const others = serving.filter(({ nodeId }) => nodeId !== avoid)
    const from = others.length > 0 ? others : serving
    return from[this.#parts.random.nextInt(Math.max(1, from.length))]?.nodeId ?? null
  }
}

/** By a node that knows how it stands. */
const isTold = (error: unknown): error is SkeinError =>
  hasCode(error, 'ERR_SKEIN_CHANGE_REFUSED') || hasCode(error, 'ERR_SKEIN_INDETERMINATE')
