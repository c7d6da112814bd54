/**
 * The section of the control group that remembers why leaderships moved, and whether they may. Two
 * coordinators that saw one election record it once.
 */
import type { AppliedAt, ControlSection } from '../../control/index.js'
import { type Failover, failoverReasons } from '../../core/failover.js'
import type { WallMs } from '../../core/ids.js'
import {
  bool,
  type Codec,
  groupId,
  list,
  nodeId,
  nullable,
  oneOf,
  struct,
  term,
  text,
  u32,
  u64,
  union
} from '../../wire/index.js'

/** That are remembered; at the bound the oldest goes. */
export const failoversKeptMax = 128
/** Nodes that one of them was chosen among. */
export const failoverOptionsMax = 7
/** Characters of a sentence in it, of which each takes four bytes at most. */
export const failoverTextLengthMax = 128

export interface FailoversState {
  /** Of the newest; they count from 1. */
  readonly count: number
  readonly pausedBy: string | null
  /** Oldest first. */
  readonly failovers: readonly Failover[]
}

export type FailoverFacts = Omit<Failover, 'id' | 'at'>

export type FailoversChange =
  | { readonly kind: 'record'; readonly failover: FailoverFacts }
  | { readonly kind: 'pause'; readonly by: string }
  | { readonly kind: 'resume' }

export interface FailoversAnswer {
  /** What was recorded already, or now; 0: nothing was to be recorded. */
  readonly id: number
  readonly pausedBy: string | null
  readonly isNew: boolean
}

const sentence = text(4 * failoverTextLengthMax)
const by = text(256)
const wallMs = u64 as Codec<number> as Codec<WallMs>

const facts = {
  group: groupId,
  term,
  reason: oneOf(failoverReasons),
  from: nullable(nodeId),
  to: nodeId,
  why: sentence,
  action: sentence,
  options: list(
    struct({ node: nodeId, priority: u32, leads: u32, fault: nullable(sentence) }),
    failoverOptionsMax
  ),
  by: nodeId
}

export const failoversSection: ControlSection<FailoversState, FailoversChange, FailoversAnswer> = {
  name: 'failovers',
  state: struct({
    count: u64,
    pausedBy: nullable(by),
    failovers: list(struct({ id: u64, at: wallMs, ...facts }), failoversKeptMax)
  }),
  /** Numbers are append-only: a change that was ever in a log keeps its meaning. */
  change: union({
    record: [0, struct({ failover: struct(facts) })],
    pause: [1, struct({ by })],
    resume: [2, struct({})]
  }),
  answer: struct({ id: u64, pausedBy: nullable(by), isNew: bool }),
  initial: () => ({ count: 0, pausedBy: null, failovers: [] }),
  apply: applyFailovers
}

function applyFailovers(
  state: FailoversState,
  change: FailoversChange,
  { now }: Pick<AppliedAt, 'now'>
): { readonly state: FailoversState; readonly answer: FailoversAnswer } {
  if (change.kind !== 'record') {
    const pausedBy = change.kind === 'pause' ? change.by : null
    return { state: { ...state, pausedBy }, answer: { id: 0, pausedBy, isNew: false } }
  }
  const { pausedBy } = state
  const known = state.failovers.find((one) => isSameElection(one, change.failover))
  if (known !== undefined) return { state, answer: { id: known.id, pausedBy, isNew: false } }
  const id = state.count + 1
  const failovers = [...state.failovers, { id, at: now, ...change.failover }]
  return {
    state: { count: id, pausedBy, failovers: failovers.slice(-failoversKeptMax) },
    answer: { id, pausedBy, isNew: true }
  }
}

/** A term has one leader, so one election, whether or not it was a hand-over. */
const isSameElection = (a: FailoverFacts, b: FailoverFacts): boolean =>
  isElection(a) && isElection(b) && a.group === b.group && a.term === b.term

export const isElection = ({ reason }: Pick<FailoverFacts, 'reason'>): boolean =>
  reason === 'elected' || reason === 'transferred'

/** Whole characters of it, as many as are kept. */
export const cutSentence = (told: string): string =>
  told.length <= failoverTextLengthMax ? told : [...told].slice(0, failoverTextLengthMax).join('')
