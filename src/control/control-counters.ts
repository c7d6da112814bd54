import type { Counters } from '../core/counters.js'

export const controlCounterNames = [
  'changes',
  'changes_forwarded',
  'changes_retried',
  'changes_refused',
  'changes_indeterminate',
  'changes_applied',
  'state_reads'
] as const
export type ControlCounter = (typeof controlCounterNames)[number]
export type ControlCounters = Counters<ControlCounter>
