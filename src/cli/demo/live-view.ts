import { type ClusterEvent, CONTROL_GROUP, type GroupId } from '../../core/index.js'
import { printable, table } from '../output.js'
import { quoted } from './quoted.js'
import { dataGroupsOf, leaderAmong, type NodeView } from './supervisor.js'

export interface LiveFigures {
  readonly writesPerSecond: number
  readonly readsPerSecond: number
  readonly writeP50Ms: number
  readonly writeP99Ms: number
  /** Since the start. */
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
  /** Sourced by a shell, it knows the cluster and the command `skein`. */
  readonly environmentFile: string
  readonly dataDirectory: string
  /** After how long a node that was killed is started again. */
  readonly revivedAfterMs: number
}

export const Tones = {
  Plain: 'plain',
  Title: 'title',
  Head: 'head',
  Good: 'good',
  Bad: 'bad',
  /** To be copied: never cut. */
  Command: 'command'
} as const
export type Tone = (typeof Tones)[keyof typeof Tones]

export interface LiveLine {
  readonly text: string
  readonly tone: Tone
}

const eventsMin = 1
const hintColumn = 54

/** The screen of so many rows, the last events where there is room. */
export function renderLive(state: LiveState, rows: number): LiveLine[] {
  const above = [title(state), blank, ...nodeLines(state), blank, figuresLine(state.figures), blank]
  const below = [blank, ...hintLines(state)]
  const room = rows - above.length - below.length - 1
  const events = state.events.slice(-Math.max(eventsMin, room))
  return [...above, head('last events'), ...events.map((event) => plain(`  ${event}`)), ...below]
}

export function describeEvent(nodeId: string, event: ClusterEvent): string {
  const facts = Object.entries(event).flatMap(([name, value]) => {
    if (['type', 'sequence', 'wallTime'].includes(name)) return []
    if (typeof value !== 'object') return [`${name} ${value}`]
    if (value === null || !('nodeId' in value)) return []
    return 'status' in value ? [`${value.nodeId} ${value.status}`] : [`${value.nodeId}`]
  })
  const time = new Date(event.wallTime).toISOString().slice(11, 19)
  return printable(`${time}  ${nodeId}  ${event.type}  ${facts.join(', ')}`).trimEnd()
}

/** Home, each line cleared to its end, and everything below: nothing flickers. */
export function frame(
  lines: readonly LiveLine[],
  columns: number,
  rows: number,
  isColoured: boolean
): string {
  const shown: string[] = []
  let left = Math.max(1, rows - 1)
  for (const { text, tone } of lines) {
    const height = tone === Tones.Command ? Math.max(1, Math.ceil(text.length / columns)) : 1
    if (height > left) break
    left -= height
    const cut = tone === Tones.Command ? text : text.slice(0, columns)
    shown.push(`${isColoured ? coloured(cut, tone) : cut}\x1b[K`)
  }
  return `\x1b[H${shown.join('\n')}\n\x1b[J`
}

function title({ nodes }: LiveState): LiveLine {
  const groups = dataGroupsOf(nodes)
  const without = groups.filter((group) => leaderAmong(nodes, group) === null)
  const isLed = groups.length > 0 && without.length === 0
  const led = isLed ? 'all led' : `nobody leads ${without.join(', ') || 'any'}`
  const text = `skein demo: ${nodes.length} processes, mutual TLS, ${groups.length} groups, ${led}`
  return { text, tone: isLed ? Tones.Title : Tones.Bad }
}

function nodeLines({ nodes }: LiveState): LiveLine[] {
  const columns = ['node', 'leads', 'applied', 'members', 'pid', 'admin API']
  const rows = nodes.map((node) => row(node, ledBy(nodes, node.id)))
  const [first = '', ...rest] = table(columns, rows).split('\n')
  const lines = rest.map((text, i): LiveLine => {
    const node = nodes[i]
    if (node === undefined || node.view === null) return { text, tone: Tones.Bad }
    return { text, tone: ledBy(nodes, node.id).length > 0 ? Tones.Good : Tones.Plain }
  })
  return [head(first), ...lines]
}

function row(node: LiveState['nodes'][number], leads: readonly GroupId[]): string[] {
  const members = node.view?.members.filter(({ liveness }) => liveness === 'alive').length
  const groups = node.view?.groups.filter(({ group }) => group !== CONTROL_GROUP)
  const applied = groups?.reduce((sum, { appliedIndex }) => sum + appliedIndex, 0)
  const known = (value: number | string | null | undefined) => (value ?? '-').toString()
  return [
    node.id,
    node.view === null ? 'down' : leads.join(', ') || '-',
    known(applied),
    known(members),
    known(node.pid),
    node.admin
  ].map(printable)
}

/** Groups with data. */
const ledBy = (nodes: LiveState['nodes'], id: string): GroupId[] =>
  dataGroupsOf(nodes).filter((group) => leaderAmong(nodes, group) === id)

function figuresLine(figures: LiveFigures): LiveLine {
  const { writesPerSecond, readsPerSecond, writeP50Ms, writeP99Ms, errors } = figures
  const text = [
    `writes/s ${whole(writesPerSecond)}`,
    `reads/s ${whole(readsPerSecond)}`,
    `write p50 ${writeP50Ms.toFixed(1)} ms, p99 ${writeP99Ms.toFixed(1)} ms`,
    `errors ${errors}`
  ].join('   ')
  return { text, tone: errors > 0 ? Tones.Bad : Tones.Plain }
}

function hintLines(state: LiveState): LiveLine[] {
  const { nodes } = state
  const leads = ({ id }: LiveState['nodes'][number]) => ledBy(nodes, id).length
  const pid = [...nodes].sort((a, b) => leads(b) - leads(a))[0]?.pid ?? 'PID'
  const up = nodes.find(({ view }) => view !== null) ?? nodes[0]
  const revived = `${state.revivedAfterMs / 1_000} s`
  return [
    head('try in another terminal'),
    command(`. ${quoted(state.environmentFile)}`, 'first: names the cluster'),
    command('skein status --watch', 'members, roles, the log'),
    command('skein placement', 'which rows are in which group'),
    command(`skein query 'SELECT count(*) FROM pgbench_history'`, 'of all groups'),
    command('skein sessions', 'those of the load'),
    command(`skein explain 'SELECT 1'`, 'which node, and why'),
    command(`skein query --connect ${up?.address} 'SELECT 1'`, 'as a client, TLS'),
    command(`kill -9 ${pid}`, `leads the most; back after ${revived}`),
    plain(`open ${up?.admin}/readyz?verbose`),
    blank,
    plain(`data and logs in ${state.dataDirectory}; Ctrl-C stops everything`)
  ]
}

function command(text: string, hint: string): LiveLine {
  const gap = text.length + 2 < hintColumn ? hintColumn - 2 - text.length : 2
  return { text: `  ${text}${' '.repeat(gap)}# ${hint}`, tone: Tones.Command }
}

function coloured(text: string, tone: Tone): string {
  switch (tone) {
    case Tones.Title:
      return `\x1b[1m${text}\x1b[0m`
    case Tones.Head:
      return `\x1b[2m${text}\x1b[0m`
    case Tones.Good:
      return `\x1b[32m${text}\x1b[0m`
    case Tones.Bad:
      return `\x1b[31m${text}\x1b[0m`
    case Tones.Command:
      return text.replace(/#.*/, '\x1b[2m$&\x1b[0m')
    case Tones.Plain:
      return text
  }
}

const blank: LiveLine = { text: '', tone: Tones.Plain }
const plain = (text: string): LiveLine => ({ text, tone: Tones.Plain })
const head = (text: string): LiveLine => ({ text, tone: Tones.Head })
const whole = (value: number): string => Math.round(value).toString()
