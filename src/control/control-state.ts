/**
 * The control group's state machine: one state per section, and the group's log time. Pure; the
 * engine around it brings entries in and images out.
 *
 * 1. Log time rises with every change: max(last + 1, what the proposer says).
 * 2. What a plan answers is what `apply` of its command answers later: both execute the same change
 *    with the same index and time on the same state.
 * 3. An unknown section, or a format above the section's own, stops the replica: a change that is
 *    skipped here and done elsewhere would never be made good.
 * 4. Software that does not speak the cluster version stops: whatever comes next may be of a format
 *    that it does not know.
 * 5. A section that was never changed stands in no image and no hash, so software that knows more
 *    sections agrees with software that knows fewer until the first change.
 */
import { assert, must } from '../core/assert.js'
import { EngineFailedError } from '../core/errors.js'
import { compareText, type LogIndex, type WallMs } from '../core/ids.js'
import {
  type ChangeCommand,
  controlAnswerBytesMax,
  decodeCommand,
  decodeWith,
  encodeCommand,
  encodeWith,
  sectionStateBytesMax
} from './change-command.js'
import type { AppliedAt, ControlSection } from './section.js'
import {
  type ClusterVersionState,
  clusterVersionSection,
  mayPropose
} from './sections/cluster-version.js'

export type AnySection = ControlSection<unknown, unknown, unknown>

export interface AppliedChange {
  readonly section: AnySection
  /** After the change. */
  readonly state: unknown
  readonly change: unknown
  readonly answer: unknown
  readonly at: AppliedAt
}

/** A change as its proposer sends it. */
export interface ChangeRequest {
  readonly section: string
  readonly format: number
  readonly change: Uint8Array
}

export type PlannedChange =
  | { readonly kind: 'planned'; readonly command: Uint8Array; readonly answer: Uint8Array }
  | { readonly kind: 'refused'; readonly reason: string }

/** A section's part of an image. */
export interface SectionImage {
  readonly name: string
  readonly format: number
  readonly state: Uint8Array
}

const NAME = /^[a-z][a-z-]{0,31}$/

/** The cluster version that a change needs. */
export const formatOfChange = <State, Change, Answer>(
  section: ControlSection<State, Change, Answer>,
  change: Change
): number => section.formatOf?.(change) ?? 1

interface Kept {
  readonly state: unknown
  /** The highest of the changes that made it. */
  readonly format: number
}

export class ControlState {
  readonly #sections: ReadonlyMap<string, AnySection>
  /** Newer ones are not known here, whatever a section's code does. */
  readonly #formatMax: number
  /** Of the sections that were changed. */
  #kept = new Map<string, Kept>()
  #now = 0 as WallMs

  /** The section of the cluster version must be among them. */
  constructor(sections: readonly AnySection[], formatMax: number) {
    this.#formatMax = formatMax
    this.#sections = new Map(sections.map((section) => [section.name, section]))
    assert(this.#sections.size === sections.length, 'two sections have one name')
    for (const { name } of sections) assert(NAME.test(name), `section ${JSON.stringify(name)}`)
    assert(this.knows(clusterVersionSection), 'no section of the cluster version')
  }

  /** Log time of the last change. */
  get now(): WallMs {
    return this.#now
  }

  knows<State, Change, Answer>(section: ControlSection<State, Change, Answer>): boolean {
    return this.#sections.get(section.name) === (section as AnySection)
  }

  stateOf<State, Change, Answer>(section: ControlSection<State, Change, Answer>): State {
    assert(this.#sections.has(section.name), `section ${section.name} is not registered`)
    const kept = this.#kept.get(section.name)
    return kept === undefined ? section.initial() : (kept.state as State)
  }

  /** Null: no such section. */
  encodedStateOf(name: string): Uint8Array | null {
    const section = this.#sections.get(name)
    return section === undefined
      ? null
      : encodeWith(section.state, this.stateOf(section), sectionStateBytesMax)
  }

  /** The same state, which goes on by itself from here. */
  fork(): ControlState {
    const fork = new ControlState([...this.#sections.values()], this.#formatMax)
    fork.#kept = new Map(this.#kept)
    fork.#now = this.#now
    return fork
  }

  /**
   * Executes the change here, and says what to replicate: for a fork, which is thrown away.
   * @throws ProtocolError the change is malformed
   */
  plan(request: ChangeRequest, index: LogIndex, logTime: WallMs): PlannedChange {
    const section = this.#sections.get(request.section)
    if (section === undefined) return refused(`there is no section ${request.section}`)
    if (request.format > this.#formatKnown(section)) {
      return refused(`format ${request.format} of ${section.name} is not known here`)
    }
    const version = this.stateOf(clusterVersionSection)
    if (!mayPropose(version, request.format)) {
      const needed = `${section.name} needs cluster version ${request.format}`
      return refused(`this change of ${needed}, it is ${version.clusterVersion}`)
    }
    const now = Math.max(this.#now + 1, logTime) as WallMs
    const command = { ...request, index, now }
    const { answer } = this.#execute(section, command)
    return {
      kind: 'planned',
      command: encodeCommand(command),
      answer: encodeWith(section.answer, answer, controlAnswerBytesMax)
    }
  }

  /**
   * A committed command.
   * @throws EngineFailedError, ProtocolError unknown or damaged: fail-stop
   */
  apply(encoded: Uint8Array): AppliedChange {
    // What is decoded may be kept in the state, and the entry's bytes are not ours to keep.
    const command = decodeCommand(encoded.slice())
    const section = this.#sections.get(command.section)
    if (section === undefined) {
      throw new EngineFailedError(`committed: a change of the unknown section ${command.section}`)
    }
    const known = this.#formatKnown(section)
    if (command.format > known) {
      const found = `format ${command.format} of section ${section.name}`
      throw new EngineFailedError(`committed: ${found}, ${known} is known`)
    }
    const applied = this.#execute(section, command)
    this.#expectSpoken(this.#kept)
    return applied
  }

  /** Sorted by name. */
  images(): SectionImage[] {
    return [...this.#kept]
      .sort(([a], [b]) => compareText(a, b))
      .map(([name, { state, format }]) => {
        const { state: codec } = must(this.#sections.get(name), `section ${name}`)
        return { name, format, state: encodeWith(codec, state, sectionStateBytesMax) }
      })
  }

  /**
   * Takes the place of everything that was.
   * @throws EngineFailedError, ProtocolError made by software that knows more, or damaged
   */
  restore(now: WallMs, images: readonly SectionImage[]): void {
    const restored = new Map<string, Kept>()
    for (const { name, format, state } of images) {
      const section = this.#sections.get(name)
      if (section === undefined || format > this.#formatKnown(section)) {
        throw new EngineFailedError(`the image holds section ${name} in format ${format}`)
      }
      restored.set(name, { state: decodeWith(section.state, state.slice()), format })
    }
    this.#expectSpoken(restored)
    this.#kept = restored
    this.#now = now
  }

  #formatKnown({ format = 1 }: AnySection): number {
    return Math.min(format, this.#formatMax)
  }

  /** @throws EngineFailedError */
  #expectSpoken(states: ReadonlyMap<string, Kept>): void {
    const state = states.get(clusterVersionSection.name)?.state as ClusterVersionState | undefined
    const { clusterVersion } = state ?? clusterVersionSection.initial()
    if (clusterVersion <= this.#formatMax) return
    const found = `the cluster version is ${clusterVersion}`
    throw new EngineFailedError(`${found}, this software speaks up to ${this.#formatMax}`)
  }

  #execute(section: AnySection, command: ChangeCommand): AppliedChange {
    const { index, now, format, change: bytes } = command
    const change = decodeWith(section.change, bytes)
    const at = { index, now: Math.max(this.#now + 1, now) as WallMs }
    const { state, answer } = section.apply(this.stateOf(section), change, at)
    this.#now = at.now
    const formatBefore = this.#kept.get(section.name)?.format ?? 1
    this.#kept.set(section.name, { state, format: Math.max(formatBefore, format) })
    return { section, state, change, answer, at }
  }
}

const refused = (reason: string): PlannedChange => ({ kind: 'refused', reason })
