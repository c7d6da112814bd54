/** The facade's view of the control group's own sections. */
import type {
  AskControlOptions,
  AuditedAction,
  AuditRecord,
  ClusterControl,
  ClusterVersionView,
  PlacementView,
  SchemaChangeView,
  ShardTableOptions
} from '../core/cluster-control.js'
import { after } from '../core/deadlines.js'
import {
  ChangeRefusedError,
  InvalidArgumentError,
  NotFoundError,
  RequestTimeoutError
} from '../core/errors.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { AuditRecorder } from './audit-recorder-driver.js'
import type { Control } from './control.js'
import { auditSection } from './sections/audit.js'
import {
  type ClusterVersionChange,
  type ClusterVersionState,
  clusterVersionSection,
  highestCommon
} from './sections/cluster-version.js'
import { type PlacementChange, placementSection } from './sections/placement.js'
import {
  type SchemaChange,
  schemaChangeById,
  schemaChangesSection,
  schemaReasonLengthMax
} from './sections/schema-changes.js'
import { placementRefused, spreadTable } from './spread-table.js'

const timeoutMsDefault = 5_000

export interface ClusterControlComponents {
  readonly clock: Clock
  readonly control: Control
  readonly recorder: AuditRecorder
  /** Every member that this node knows and that has not left. */
  members(): readonly NodeId[]
}

export class ClusterControlDriver implements ClusterControl {
  readonly #components: ClusterControlComponents

  constructor(components: ClusterControlComponents) {
    this.#components = components
  }

  placement(options: AskControlOptions = {}): Promise<PlacementView> {
    return this.#components.control.read(placementSection, this.#deadlineOf(options))
  }

  async shardTable(
    table: string,
    { shardKey, groups, ...options }: ShardTableOptions
  ): Promise<PlacementView> {
    const deadline = this.#deadlineOf(options)
    const before = await this.#components.control.read(placementSection, deadline)
    const placed = spreadTable(before, { table, shardKey, groups })
    if (placed === null) return before
    const expectedVersion = before.version
    return this.#place({ kind: 'setTable', expectedVersion, placed }, deadline)
  }

  unshardTable(table: string, options: AskControlOptions = {}): Promise<PlacementView> {
    const change: PlacementChange = { kind: 'removeTable', expectedVersion: null, table }
    return this.#place(change, this.#deadlineOf(options))
  }

  async schemaChanges(options: AskControlOptions = {}): Promise<readonly SchemaChangeView[]> {
    const deadline = this.#deadlineOf(options)
    const { active, ended } = await this.#components.control.read(schemaChangesSection, deadline)
    return [...ended, ...active].map(schemaChangeViewOf)
  }

  async abortSchemaChange(
    id: string,
    { by, ...options }: AskControlOptions & { readonly by: string }
  ): Promise<SchemaChangeView> {
    const deadline = this.#deadlineOf(options)
    const { control } = this.#components
    const reason = `aborted by ${by}`.slice(0, schemaReasonLengthMax)
    const abort = { kind: 'abort', id, reason } as const
    const { refusal } = await control.change(schemaChangesSection, abort, { deadline })
    const found = schemaChangeById(await control.read(schemaChangesSection, deadline), id)
    if (refusal === 'unknown' || found === null) {
      throw new NotFoundError(`no schema change ${id} is known`)
    }
    if (refusal !== null) throw notAborted(found)
    return schemaChangeViewOf(found)
  }

  async clusterVersion(options: AskControlOptions = {}): Promise<ClusterVersionView> {
    const deadline = this.#deadlineOf(options)
    return this.#viewOf(await this.#components.control.read(clusterVersionSection, deadline))
  }

  async finalizeVersion({
    to,
    ...options
  }: AskControlOptions & { readonly to?: number } = {}): Promise<ClusterVersionView> {
    if (to !== undefined && !(Number.isInteger(to) && to >= 1 && to <= 0xffff)) {
      throw new InvalidArgumentError('to', 'must be an integer from 1 to 65535')
    }
    const deadline = this.#deadlineOf(options)
    const members = this.#components.members()
    const before = await this.#components.control.read(clusterVersionSection, deadline)
    const wanted = to ?? highestCommon(before, members) ?? before.clusterVersion + 1
    return this.#change({ kind: 'finalize', to: wanted, members }, deadline)
  }

  forgetVersion(node: NodeId, options: AskControlOptions = {}): Promise<ClusterVersionView> {
    return this.#change({ kind: 'forget', node }, this.#deadlineOf(options))
  }

  async audit(count: number, options: AskControlOptions = {}): Promise<readonly AuditRecord[]> {
    const deadline = this.#deadlineOf(options)
    const { control, recorder } = this.#components
    if (!(await recorder.settled(deadline))) {
      throw new RequestTimeoutError('actions of this node are not recorded yet')
    }
    const { entries } = await control.read(auditSection, deadline)
    return entries.slice(-Math.max(1, count)).reverse()
  }

  recordAction(action: AuditedAction): void {
    this.#components.recorder.record(action)
  }

  async #place(change: PlacementChange, deadline: MonotonicMs): Promise<PlacementView> {
    const { control } = this.#components
    const { refusal } = await control.change(placementSection, change, { deadline })
    if (refusal !== null) throw placementRefused(refusal)
    return control.read(placementSection, deadline)
  }

  async #change(change: ClusterVersionChange, deadline: MonotonicMs): Promise<ClusterVersionView> {
    const { control } = this.#components
    const { refusal, nodes } = await control.change(clusterVersionSection, change, { deadline })
    if (refusal !== null) {
      const section = clusterVersionSection.name
      throw new ChangeRefusedError(`the cluster version stays: ${meanings[refusal]}`, {
        details: { section, reason: refusal, nodes }
      })
    }
    return this.#viewOf(await control.read(clusterVersionSection, deadline))
  }

  #viewOf(state: ClusterVersionState): ClusterVersionView {
    const members = this.#components.members()
    const known = new Set(state.nodes.map(({ node }) => node))
    const runtimes = new Map(state.runtimes?.map(({ node, runtime }) => [node, runtime]))
    return {
      clusterVersion: state.clusterVersion,
      minVersion: state.minVersion,
      highestCommon: highestCommon(state, members),
      nodes: state.nodes.map(({ node, min, max, software }) => ({
        node,
        min,
        max,
        software,
        runtime: runtimes.get(node) ?? null
      })),
      silent: members.filter((member) => !known.has(member))
    }
  }

  #deadlineOf({ timeoutMs = timeoutMsDefault }: AskControlOptions): MonotonicMs {
    if (!Number.isFinite(timeoutMs) || timeoutMs <= 0) {
      throw new InvalidArgumentError('timeoutMs', 'must be a positive number')
    }
    return after(this.#components.clock.now(), timeoutMs)
  }
}

const schemaChangeViewOf = ({ epoch: _, done, ...change }: SchemaChange): SchemaChangeView => ({
  ...change,
  doneIn: change.groups.slice(0, done)
})

function notAborted({ id, status, groups, done }: SchemaChange): ChangeRefusedError {
  const doneIn = groups.slice(0, done)
  const next = groups[done]
  let why = `it is ${status}`
  if (status === 'running' && done === 0) why = `group ${next} was asked to do it, and may have it`
  else if (status === 'running') why = `groups ${doneIn.join(', ')} have it, group ${next} may`
  return new ChangeRefusedError(`schema change ${id} cannot be aborted: ${why}`, {
    details: {
      section: schemaChangesSection.name,
      reason: 'claimed',
      schemaChange: id,
      doneIn: doneIn.map(String)
    }
  })
}

const meanings = {
  tooOld: 'the software is older than the cluster',
  tooNew: 'the software no longer reads what the cluster may hold',
  tooMany: 'too many nodes are known',
  unknownNode: 'no such node is known',
  notAbove: 'it is not below what was asked for',
  olderMembers: 'not every member speaks the new one; upgrade those, or forget who is gone'
} as const
