import { InvalidArgumentError } from '../../core/index.js'

export interface DemoOptions {
  /** Load, kill a leader half-way, verify, stop; else run until interrupted. */
  readonly once: boolean
  /** Restart every node under load, one after the other, verify, stop. */
  readonly rollingRestart: boolean
  readonly json: boolean
  /** Of workload, with `once`. */
  readonly seconds: number
  readonly nodes: number
  /** With data: 0, which holds no part of a table that is spread, and those that do. */
  readonly groups: number
  /** Clients of the rolling restart, each with an id of its own. */
  readonly sessions: number
  /** Of the workload's random choices. */
  readonly seed: number
  /** TPC-B's: 100,000 accounts each. */
  readonly scale: number
  /** Null: a new one, removed at the end. */
  readonly dataDirectory: string | null
  /** First of two for each node; 0: free ones. */
  readonly port: number
}

/** Text of the command line, as commander hands it over. */
export interface DemoArguments {
  readonly once?: boolean
  readonly rollingRestart?: boolean
  readonly json?: boolean
  readonly seconds: string
  /** Default: 3, and 5 for a rolling restart. */
  readonly nodes?: string
  readonly sessions: string
  readonly seed: string
  readonly scale: string
  readonly data?: string
  readonly port: string
}

export const demoDefaults = {
  seconds: '20',
  sessions: '200',
  seed: '1',
  scale: '1',
  port: '0'
} as const

/** Over which the demo's tables are spread. */
const shardGroups = 4

/** @throws InvalidArgumentError naming the option */
export function parseDemoOptions(given: DemoArguments): DemoOptions {
  const rollingRestart = given.rollingRestart ?? false
  const nodes = integer('--nodes', given.nodes ?? (rollingRestart ? '5' : '3'), 1, 7)
  const port = integer('--port', given.port, 0, 65_535)
  if (port !== 0 && (port < 1_024 || port + 2 * nodes > 65_536)) {
    throw new InvalidArgumentError('--port', `must be 0 or from 1024 to ${65_536 - 2 * nodes}`)
  }
  const once = given.once ?? false
  if (once && nodes < 3) {
    throw new InvalidArgumentError('--nodes', 'must be at least 3 with --once: a leader is killed')
  }
  if (rollingRestart && once) {
    throw new InvalidArgumentError('--rolling-restart', 'is another run than --once')
  }
  if (rollingRestart && nodes < 3) {
    throw new InvalidArgumentError(
      '--nodes',
      'must be at least 3 with --rolling-restart: every group keeps its majority'
    )
  }
  return {
    once,
    rollingRestart,
    json: given.json ?? false,
    seconds: integer('--seconds', given.seconds, 2, 86_400),
    nodes,
    groups: rollingRestart ? 1 : 1 + shardGroups,
    sessions: integer('--sessions', given.sessions, 1, 1_000),
    seed: integer('--seed', given.seed, 0, Number.MAX_SAFE_INTEGER),
    scale: integer('--scale', given.scale, 1, 100),
    dataDirectory: given.data ?? null,
    port
  }
}

function integer(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw new InvalidArgumentError(name, `must be an integer from ${min} to ${max}, got ${text}`)
}
