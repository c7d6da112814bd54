/** What a node tells of its own load with each answer: utilisation and queue depth. */
export interface LoadReport {
  /** 0 idle … 1 at its bound. */
  readonly utilisation: number
  /** Queries being executed or waiting there. */
  readonly queueDepth: number
}

export interface LoadInputs {
  readonly inFlight: number
  /** Queries that it executes at a time. */
  readonly executionsMax: number
  /** How late its main loop runs. */
  readonly loopDelayMs: number
}

/** A loop that late is half used up. */
export const loopDelayHalfMs = 100
const queueDepthMax = 65_535

/** The scarcer of the two: room for queries, time of the main loop. */
export function loadReportOf({ inFlight, executionsMax, loopDelayMs }: LoadInputs): LoadReport {
  const loop = loopDelayMs / (loopDelayMs + loopDelayHalfMs)
  const utilisation = Math.min(1, Math.max(inFlight / executionsMax, loop))
  return { utilisation, queueDepth: Math.min(inFlight, queueDepthMax) }
}
