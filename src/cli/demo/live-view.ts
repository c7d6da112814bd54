import type { ClusterEvent } from '../../core/index.js'
import { printable, table } from '../output.js'
import { groupOf, leaderAmong, type NodeView } from './supervisor.js'

export interface LiveFigures {
  readonly writesPerSecond: number
  readonly readsPerSecond: number
  readonly writeP50Ms: number
  readonly writeP99Ms: number
  readonly errors: number
}

export interface LiveState {
  readonly nodes: readonly (NodeView & {
    readonly pid: number | null
    readonly address: string
    readonly admin: string
  })[]
  readonly figures: LiveFigures
  /** Newest last. */
  readonly events: readonly string[]
  readonly tokenFile: string
  readonly dataDirectory: string
  /** How to call `skein` from here. */
  readonly command: string
}

/** The screen, as lines without colour. */
export function renderLive(state: LiveState): string[] {
  const leader = leaderAmong(state.nodes)
  const { figures } = state
  const url = state.nodes.find(({ view }) => view !== null)?.admin ?? state.nodes[0]?.admin
  return [
    `skein demo: ${state.nodes.length} nodes, leader ${leader ?? 'none'}`,
    '',
    ...table(
      ['node', 'pid', 'role', 'term', 'applied', 'members', 'cluster', 'admin API'],
      state.nodes.map(row)
    ).split('\n'),
    '',
    `writes/s ${whole(figures.writesPerSecond)}   reads/s ${whole(figures.readsPerSecond)}   ` +
      `write p50 ${figures.writeP50Ms.toFixed(1)} ms   p99 ${figures.writeP99Ms.toFixed(1)} ms   ` +
      `errors ${figures.errors}`,
    '',
    'last events',
    ...state.events.map((event) => `  ${event}`),
    '',
    'try in another terminal',
    `  export SKEIN_ADMIN_URL=${url}`,
    `  export SKEIN_TOKEN_FILE=${state.tokenFile}`,
    `  ${state.command} status --watch`,
    `  ${state.command} query 'SELECT count(*) FROM pgbench_history'`,
    '  curl -H "authorization: Bearer $(cat $SKEIN_TOKEN_FILE)" $SKEIN_ADMIN_URL/metrics',
    `  kill -9 ${state.nodes.find(({ id }) => id === leader)?.pid ?? 'PID'}`,
    '',
    `data in ${state.dataDirectory}; Ctrl-C stops everything`
  ]
}

export function describeEvent(nodeId: string, event: ClusterEvent): string {
  const facts = Object.entries(event).flatMap(([name, value]) => {
    if (['type', 'sequence', 'wallTime'].includes(name)) return []
    if (typeof value === 'object' && value !== null && 'nodeId' in value) return [`${value.nodeId}`]
    return typeof value === 'object' ? [] : [`${name} ${value}`]
  })
  const time = new Date(event.wallTime).toISOString().slice(11, 19)
  return printable(`${time} ${nodeId} saw ${event.type} ${facts.join(', ')}`)
}

/** Home, each line cleared to its end, and everything below: nothing flickers. */
export function frame(lines: readonly string[], columns: number, rows: number): string {
  const shown = lines
    .slice(0, Math.max(1, rows - 1))
    .map((line) => `${line.slice(0, columns)}\x1b[K`)
  return `\x1b[H${shown.join('\n')}\n\x1b[J`
}

function row(node: LiveState['nodes'][number]): string[] {
  const group = groupOf(node)
  const members = node.view?.members.filter(({ liveness }) => liveness === 'alive').length
  const known = (value: number | string | null | undefined) => (value ?? '-').toString()
  return [
    node.id,
    known(node.pid),
    node.view === null ? 'down' : known(group?.role),
    known(group?.term),
    known(group?.appliedIndex),
    known(members),
    node.address,
    node.admin
  ].map(printable)
}

const whole = (value: number): string => Math.round(value).toString()
