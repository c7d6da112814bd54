/**
 * Changes of the schema of tables that are spread over groups. Any node begins one and waits for
 * its end; whoever leads the control group carries it from group to group, as the section says.
 *
 * 1. A group does it under the change's own id, as a client's only write: however often it is told,
 *    and by however many leaders, it does it once (while groups remember clients).
 * 2. What a group says against the statement is the end of the change. Everything else is tried
 *    again for as long as it takes: the groups that have it already cannot undo it.
 * 3. Nothing is claimed before its first group answers: what that group holds up can be aborted.
 * 4. Who waits is told the end, or at its deadline that it goes on, with the id to ask by.
 */
import { statementError } from '../consensus/index.js'
import { after } from '../core/deadlines.js'
import {
  ChangeRefusedError,
  ContinuedElsewhereError,
  type ErrorCode,
  IndeterminateError,
  SkeinError,
  SqlError
} from '../core/errors.js'
import {
  type ClientId,
  type GroupId,
  type MonotonicMs,
  type Term,
  toClientId,
  toSerial
} from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Logger } from '../core/ports/logger.js'
import type { ClientTag } from '../core/ports/replicated-group.js'
import { hasCode } from '../core/remote-error.js'
import type { Control } from './control.js'
import { placedTable, placementSection } from './sections/placement.js'
import {
  nextGroupOf,
  type SchemaAnswer,
  type SchemaChange,
  type SchemaOrder,
  schemaChangeById,
  schemaChangesSection,
  schemaReasonLengthMax
} from './sections/schema-changes.js'

/** Groups of data, wherever their leaders are. */
export interface SchemaGroups {
  /** Twice is harmless. */
  register(group: GroupId, client: ClientId, timeoutMs: number): Promise<void>
  execute(group: GroupId, sql: string, client: ClientTag, timeoutMs: number): Promise<void>
}

export interface SchemaChangesComponents {
  readonly clock: Clock
  readonly control: Control
  readonly logger: Logger
  readonly groups: SchemaGroups
}

export interface SchemaChangeRequest {
  /** 32 hex digits; the same again is the same change. */
  readonly id: string
  /** Folded; null: of all groups. */
  readonly table: string | null
  readonly sql: string
  readonly deadline: MonotonicMs
}

/** Of one attempt in one group: a new index is built within it. */
const attemptTimeoutMs = 30_000
const changeTimeoutMs = 5_000
const retryPauseMs = 250
/** How often who waits looks, where nothing tells it. */
const lookIntervalMs = 250

export class SchemaChangesDriver {
  readonly #components: SchemaChangesComponents
  /** Carried out here. */
  readonly #underWay = new Set<string>()
  readonly #waiting = new Set<() => void>()
  /** Null: this node does not lead the control group. */
  #term: Term | null = null
  #isStopped = false

  constructor(components: SchemaChangesComponents) {
    this.#components = components
    const { control } = components
    control.onLeadership((leads, term) => {
      this.#term = leads ? term : null
      this.#wake()
    })
    control.onApplied(schemaChangesSection, () => this.#wake())
  }

  stop(): void {
    this.#isStopped = true
    this.#wake()
  }

  /**
   * Resolves when every group has it.
   * @throws SqlError and the like: the first group's own; or `details.doneIn` have it, no other
   * @throws ChangeRefusedError another one of the table is under way: nothing was begun
   * @throws IndeterminateError it goes on; `details.schemaChange` is its id
   * @throws ContinuedElsewhereError this node stops: the same again at another one waits on
   */
  async change({ id, table, sql, deadline }: SchemaChangeRequest): Promise<void> {
    const groups = await this.#groupsOf(table, deadline)
    const begin = { kind: 'begin', id, table, sql, groups } as const
    for (;;) {
      const { refusal, busyWith } = await this.#begin(begin, deadline)
      if (refusal === null) break
      const until = this.#in(lookIntervalMs)
      const mayPass = refusal === 'busy' || refusal === 'tooMany'
      if (!mayPass || until >= deadline) throw notBegun(refusal, busyWith)
      if (this.#isStopped) throw continued(id)
      await this.#changed(until)
    }
    throwUnlessDone(await this.#untilEnded(id, deadline))
  }

  async #groupsOf(table: string | null, deadline: MonotonicMs): Promise<GroupId[]> {
    const placement = await this.#components.control.read(placementSection, deadline)
    if (table === null) return placement.groups.map(({ group }) => group)
    const groups = placedTable(placement, table)?.ranges.map(({ group }) => group) ?? []
    if (groups.length > 0) return [...new Set(groups)].sort((a, b) => a - b)
    throw new ChangeRefusedError(`${table} is spread over no groups`, {
      details: { section: schemaChangesSection.name, reason: 'unknownTable' }
    })
  }

  async #begin(
    begin: Extract<SchemaOrder, { kind: 'begin' }>,
    deadline: MonotonicMs
  ): Promise<SchemaAnswer> {
    try {
      return await this.#components.control.change(schemaChangesSection, begin, { deadline })
    } catch (error) {
      throw hasCode(error, 'ERR_SKEIN_INDETERMINATE') ? goesOn(begin.id, error) : error
    }
  }

  async #untilEnded(id: string, deadline: MonotonicMs): Promise<SchemaChange> {
    const { clock, control, logger } = this.#components
    let last: unknown = null
    while (clock.now() < deadline) {
      if (this.#isStopped) throw continued(id)
      try {
        const until = Math.min(deadline, this.#in(changeTimeoutMs)) as MonotonicMs
        const found = schemaChangeById(await control.read(schemaChangesSection, until), id)
        if (found !== null && found.status !== 'running') return found
      } catch (error) {
        last = error
        logger.debug({ change: id, error }, 'a change of the schema could not be looked at')
      }
      await this.#changed(Math.min(deadline, this.#in(lookIntervalMs)) as MonotonicMs)
    }
    throw goesOn(id, last)
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
    const term = this.#term
    if (term === null || this.#isStopped) return
    const state = this.#components.control.local(schemaChangesSection)
    for (const { id } of state?.active ?? []) {
      if (this.#underWay.has(id)) continue
      this.#underWay.add(id)
      void this.#carryOut(id, term)
    }
  }

  /** To its end, or that of this leadership; the next one goes on where this has come to. */
  async #carryOut(id: string, term: Term): Promise<void> {
    const { control, logger } = this.#components
    let isCaughtUp = false
    while (this.#term === term && !this.#isStopped) {
      const change = control.local(schemaChangesSection)?.active.find((one) => one.id === id)
      if (change === undefined) break
      try {
        if (!isCaughtUp) {
          // A new leader may have to apply first what its log says of the change.
          await control.read(schemaChangesSection, this.#in(changeTimeoutMs))
          isCaughtUp = true
        } else if (change.epoch === term) {
          await this.#step(change, term)
        } else {
          if (change.epoch === 0) await this.#register(change)
          await this.#order({ kind: 'claim', id, epoch: term })
        }
      } catch (error) {
        logger.warn({ change: id, error }, 'a step of a change of the schema is tried again')
        await this.#changed(this.#in(retryPauseMs), false)
      }
    }
    this.#underWay.delete(id)
    // Another leadership of this node found it under way.
    if (this.#term !== term) this.#wake()
  }

  /** In the next group. */
  async #step(change: SchemaChange, epoch: Term): Promise<void> {
    const { id, sql } = change
    const group = nextGroupOf(change)
    if (group === null) return
    const { groups } = this.#components
    try {
      await this.#register(change)
      const tag = { clientId: toClientId(id), serial: toSerial(1), answeredBelow: toSerial(1) }
      await groups.execute(group, sql, tag, attemptTimeoutMs)
    } catch (error) {
      if (hasCode(error, 'ERR_SKEIN_RESULT_NOT_KEPT')) {
        // It was done before.
      } else if (error instanceof SkeinError && refusals.has(error.code)) {
        const { code, message } = error
        const reason = message.slice(0, schemaReasonLengthMax)
        await this.#order({ kind: 'refuse', id, epoch, group, code, reason })
        return
      } else throw error
    }
    await this.#order({ kind: 'advance', id, epoch, group })
  }

  /** With the group that is next; changes nothing. */
  async #register(change: SchemaChange): Promise<void> {
    const group = nextGroupOf(change)
    if (group === null) return
    await this.#components.groups.register(group, toClientId(change.id), attemptTimeoutMs)
  }

  async #order(order: SchemaOrder): Promise<void> {
    const deadline = this.#in(changeTimeoutMs)
    const { control } = this.#components
    const { refusal } = await control.change(schemaChangesSection, order, { deadline })
    if (refusal !== null) throw new ChangeRefusedError(`a step was refused: ${refusal}`)
  }

  /** Returns when something was applied or the time has come. */
  #changed(until: MonotonicMs, wakesEarly = true): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel()
        this.#waiting.delete(done)
        resolve()
      }
      const timer = this.#components.clock.schedule(until, done)
      if (wakesEarly) this.#waiting.add(done)
    })
  }

  #in(ms: number): MonotonicMs {
    return after(this.#components.clock.now(), ms)
  }
}

/** A group would say the same again. */
const refusals: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_SQL',
  'ERR_SKEIN_SQL_CONSTRAINT',
  'ERR_SKEIN_SQL_REFUSED',
  'ERR_SKEIN_STATEMENT_TIMEOUT',
  'ERR_SKEIN_COMMAND_TOO_LARGE',
  'ERR_SKEIN_INVALID_ARGUMENT'
])

/** @throws what came of it, unless every group has it */
function throwUnlessDone({ id, status, groups, done, code, reason }: SchemaChange): void {
  switch (status) {
    case 'done':
      return
    case 'refused':
      throw statementError({ code, message: reason, statement: 0 })
    case 'stopped': {
      const doneIn = groups.slice(0, done)
      const failedIn = groups[done] as GroupId
      const told = `done in groups ${doneIn.join(', ')}, not in ${failedIn} and after it`
      throw new SqlError(`${told}: ${reason}; repeat it with IF [NOT] EXISTS`, {
        details: { schemaChange: id, doneIn: doneIn.map(String), failedIn, code }
      })
    }
    case 'aborted':
      throw new ChangeRefusedError(`schema change ${id} was aborted, and done nowhere: ${reason}`, {
        details: { section: schemaChangesSection.name, reason: 'aborted', schemaChange: id }
      })
    case 'running':
      throw goesOn(id, null)
  }
}

const goesOn = (id: string, cause: unknown): IndeterminateError =>
  new IndeterminateError(`schema change ${id} goes on without whoever asked for it`, {
    cause,
    details: { schemaChange: id }
  })

const continued = (id: string): ContinuedElsewhereError =>
  new ContinuedElsewhereError(`this node stops; schema change ${id} is another's to make`, {
    details: { schemaChange: id }
  })

const notBegun = (
  refusal: NonNullable<SchemaAnswer['refusal']>,
  busyWith: string | null
): ChangeRefusedError => {
  const why = busyWith === null ? refusal : `schema change ${busyWith} is under way`
  return new ChangeRefusedError(`the schema stays as it is: ${why}`, {
    details: {
      section: schemaChangesSection.name,
      reason: refusal,
      ...(busyWith === null ? {} : { schemaChange: busyWith })
    }
  })
}
