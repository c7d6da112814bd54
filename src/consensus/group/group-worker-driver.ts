/**
 * What is done with the engine of a replica, one thing at a time: discard what was planned in vain,
 * take a snapshot in or have the log compacted, apply what is committed, plan and propose what
 * waits, get ready for that, in this order of preference.
 *
 * 1. A leader plans only when it has applied every entry of earlier terms, so that the exactly-once
 *    table and the data are those at the end of the log: what may stand there of its own term, and
 *    is not applied, changes neither. So who takes over plans while its first entry is replicated.
 * 2. What a snapshot has brought is not applied again: it replaces the engine's content first, then
 *    Raft hears of it.
 */
import { SkeinError } from '../../core/errors.js'
import type { GroupId, LogIndex } from '../../core/ids.js'
import type { Engine } from '../../core/ports/engine.js'
import type { LogEntry } from '../../core/ports/log-store.js'
import type { Logger } from '../../core/ports/logger.js'
import type { ConsensusCounters } from '../counters.js'
import {
  type Applier,
  applyCommandsMax,
  applyEntriesMax,
  type DecodedEntry,
  decodeEntry
} from './applier-driver.js'
import { asFailure } from './group-errors.js'
import type { ProposalPipeline } from './proposal-pipeline-driver.js'
import type { RaftDriver } from './raft-driver.js'
import type { Snapshots } from './snapshots-driver.js'

export interface GroupWorkerComponents {
  readonly group: GroupId
  readonly engine: Engine
  readonly applier: Applier
  readonly raft: RaftDriver
  readonly pipeline: ProposalPipeline
  readonly snapshots: Snapshots
  readonly logger: Logger
  readonly counters: ConsensusCounters
  isLeader(): boolean
  /** Stopped or failed: nothing more is done. */
  isOver(): boolean
  /** A check is to be made of exactly what is applied now. */
  hash(index: LogIndex): Promise<void>
  onApplied(index: LogIndex): void
  /** A round is over; there may be more to do. */
  onRested(): void
  onFailed(failure: SkeinError): void
}

export class GroupWorker {
  readonly #components: GroupWorkerComponents
  #committed: LogEntry[] = []
  #running: Promise<void> | null = null
  #mustDiscard = false
  #mustRehearse = false

  constructor(components: GroupWorkerComponents) {
    this.#components = components
  }

  /** Nothing is left to do. */
  get isIdle(): boolean {
    return this.#running === null && !this.#hasWork()
  }

  /** What is under way now. */
  get rested(): Promise<void> | null {
    return this.#running
  }

  /** Every entry of earlier terms is applied; of the present one, nothing may be. */
  get hasEarlierTerms(): boolean {
    const { applier, raft } = this.#components
    const { term } = raft.core
    const next = (applier.appliedIndex + 1) as LogIndex
    return applier.appliedTerm === term || raft.termAt(next) === term
  }

  handleCommitted(entries: readonly LogEntry[]): void {
    this.#committed.push(...entries)
  }

  /** What was planned will not be committed. */
  discard(): void {
    this.#mustDiscard = true
  }

  /** This replica campaigns: plans may follow. */
  rehearse(): void {
    this.#mustRehearse = this.#components.engine.rehearse !== undefined
  }

  /** Starts the loop over the engine unless it runs. */
  wake(): void {
    if (this.#running !== null || !this.#hasWork()) return
    this.#running = this.#run().finally(() => {
      this.#running = null
      this.#components.onRested()
    })
  }

  #hasWork(): boolean {
    const { isOver, snapshots } = this.#components
    if (isOver()) return false
    if (this.#committed.length > 0 || this.#mustDiscard) return true
    return snapshots.hasWork || this.#canPropose() || this.#mustRehearse
  }

  #canPropose(): boolean {
    const { isLeader, pipeline, raft, snapshots } = this.#components
    if (!isLeader() || pipeline.hasInFlight || !pipeline.hasWork) return false
    if (!this.hasEarlierTerms || raft.status().transferTarget !== null) return false
    return snapshots.mayPropose
  }

  async #run(): Promise<void> {
    const { engine, onFailed, snapshots } = this.#components
    try {
      while (this.#hasWork()) {
        if (this.#mustDiscard) {
          this.#mustDiscard = false
          await engine.discard()
        } else if (snapshots.hasWork) {
          await this.#workOnSnapshots()
        } else if (this.#committed.length > 0) {
          await this.#applyNext()
        } else if (this.#canPropose()) {
          this.#mustRehearse = false
          await this.#proposeNext()
        } else {
          this.#mustRehearse = false
          await engine.rehearse?.()
        }
      }
    } catch (error) {
      onFailed(asFailure(error, 'the engine failed'))
    }
  }

  async #workOnSnapshots(): Promise<void> {
    const { applier, onApplied, raft, snapshots } = this.#components
    const base = await snapshots.work()
    if (base === null) return
    await applier.handleRestored(base)
    this.#committed = this.#committed.filter(({ index }) => index > base.index)
    raft.handleRestored(base)
    onApplied(base.index)
  }

  async #proposeNext(): Promise<void> {
    const { group, isLeader, logger, pipeline, raft, snapshots } = this.#components
    const { term } = raft.status()
    snapshots.noteProposed()
    try {
      await pipeline.proposeNext(() => isLeader() && raft.status().term === term)
    } catch (error) {
      // The callers know; only an engine that breaks its contract is not to be planned on again.
      if (!(error instanceof SkeinError) || error.code === 'ERR_SKEIN_ENGINE_FAILED') throw error
      logger.warn({ group, error }, 'a batch could not be planned')
      this.#mustDiscard = true
    }
  }

  async #applyNext(): Promise<void> {
    const { applier, counters, hash, onApplied, pipeline, raft, snapshots } = this.#components
    const head = decodeEntry(this.#committed.shift() as LogEntry)
    if (head.payload === null) {
      applier.skip(head)
    } else if (head.payload.kind === 'check') {
      applier.skip(head)
      await hash(head.index)
    } else {
      const planned = pipeline.plannedFor(head.index, head.term)
      const entries = planned === null ? this.#takeMergeable(head) : [head]
      await applier.apply(entries, planned)
      counters.add('applies')
      counters.add('commands_applied', sum(entries.map(countCommands)))
    }
    pipeline.handleApplied(head.index, head.term)
    raft.handleApplied(applier.appliedIndex)
    snapshots.handleApplied()
    onApplied(applier.appliedIndex)
  }

  /** Followers and a replaying replica apply several entries in one engine transaction. */
  #takeMergeable(head: DecodedEntry): DecodedEntry[] {
    const entries = [head]
    let commands = countCommands(head)
    while (entries.length < applyEntriesMax && commands < applyCommandsMax) {
      const next = this.#committed[0]
      if (next === undefined || this.#components.isLeader()) break
      const decoded = decodeEntry(next)
      if (decoded.payload === null || decoded.payload.kind === 'check') break
      this.#committed.shift()
      entries.push(decoded)
      commands += countCommands(decoded)
    }
    return entries
  }
}

const countCommands = ({ payload }: DecodedEntry): number =>
  payload?.kind === 'batch' ? payload.commands.length : 0

const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0)
