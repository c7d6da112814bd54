import type { SimulationOptions } from '../../lib/testing.js'

export interface Regression extends SimulationOptions {
  readonly seed: number
  /** What the seed once showed. */
  readonly why: string
}

/**
 * Seeds that failed once. What a seed does changes with every draw that is added before it, so
 * each stands for its kind of trouble rather than for the very same course of events.
 */
export const regressions: readonly Regression[] = [
  {
    seed: 9,
    nodes: 5,
    seconds: 12,
    why: '16 bits were written into the buffer from before it grew, and the leader stopped'
  },
  {
    seed: 132,
    nodes: 5,
    seconds: 12,
    why: 'a node asked its own replica of the control group, which had been taken out'
  },
  {
    seed: 194,
    nodes: 5,
    seconds: 12,
    why: 'a restarted node was invited before it had opened its groups, and made them anew'
  },
  {
    seed: 34,
    nodes: 5,
    seconds: 10,
    why: 'a leader whose wall clock was far ahead ended a session at once'
  },
  {
    seed: 174,
    nodes: 5,
    seconds: 30,
    why: 'one entry ended two transactions of a client, the one it had given up behind the other'
  },
  {
    seed: 244,
    nodes: 5,
    seconds: 30,
    why: 'questions for votes on branches that were aborted first filled what a connection serves'
  },
  {
    seed: 7,
    nodes: 5,
    seconds: 30,
    why: 'a call to open a session was late, and opened it again after its end, in its first epoch'
  },
  {
    seed: 129,
    nodes: 5,
    seconds: 30,
    why: 'reads of a session went again and again to a replica that answered none of them in time'
  }
]
