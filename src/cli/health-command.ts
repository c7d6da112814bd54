/** `health`: the checks of one node, or what it measured of the network. */
import { Command, Option } from 'commander'
import type {
  HealthReport,
  HealthVerdict,
  MatrixRow,
  PeerSummary,
  RelayRoute,
  VerdictRecord
} from '../core/index.js'
import { askNode, figure, milliseconds } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions } from './connection-options.js'
import { CliError } from './exit-codes.js'
import { type Output, printable, table } from './output.js'

interface HealthOptions extends ConnectionOptions {
  readonly peers?: boolean
  readonly matrix?: boolean
  readonly routes?: boolean
  readonly verdicts?: boolean
}

export function healthCommand(output: Output): Command {
  const command = new Command('health').description(
    'show every check of one node, with status 1 when one fails, or what it measured of others'
  )
  const others = ['peers', 'matrix', 'routes', 'verdicts']
  const view = (name: string, about: string) =>
    new Option(`--${name}`, about).conflicts(others.filter((other) => other !== name))
  return addConnectionOptions(command)
    .addOption(view('peers', 'latency, jitter, loss, bandwidth, quality and verdict by peer'))
    .addOption(view('matrix', 'round trips in ms, from the rows to the columns'))
    .addOption(view('routes', 'the paths that have a relay now'))
    .addOption(view('verdicts', 'changes of verdicts on peers, oldest first'))
    .action((options: HealthOptions) => health(options, output))
}

async function health(options: HealthOptions, output: Output): Promise<void> {
  const ask = (path: string, show: (body: unknown) => string) =>
    askNode(options, output, (client, timeoutMs) => client.get(path, timeoutMs), show)
  if (options.peers) return ask('/v1/health/peers', renderPeers)
  if (options.matrix) return ask('/v1/health/matrix', renderMatrix)
  if (options.routes) return ask('/v1/health/routes', renderRoutes)
  if (options.verdicts) return ask('/v1/health/verdicts', renderVerdicts)
  let isHealthy = true
  const path = '/v1/health'
  await askNode(
    options,
    output,
    async (client, timeoutMs) => {
      const outcome = await client.get(path, timeoutMs)
      if (outcome.kind === 'answer') isHealthy = (outcome.body as HealthReport).healthy
      return outcome
    },
    (body) => renderHealth(body as HealthReport)
  )
  if (!isHealthy) throw new CliError('not every check is ok')
}

export const renderHealth = ({ healthy, ready, checks }: HealthReport): string =>
  [
    `${healthy ? 'healthy' : 'not healthy'}, ${ready ? 'ready' : 'not ready'}`,
    '',
    table(
      ['check', '', 'detail'],
      checks.map(({ name, ok, detail }) => [name, ok ? 'ok' : 'FAILED', printable(detail)])
    )
  ].join('\n')

type PeerRow = PeerSummary & { readonly verdict: HealthVerdict | null }

export function renderPeers(body: unknown): string {
  const { peers } = body as { readonly peers: readonly PeerRow[] }
  if (peers.length === 0) return 'no peer was measured yet'
  const rows = peers.map((peer) => [
    printable(peer.nodeId),
    milliseconds(peer.latency?.p50Ms),
    peer.latency === null
      ? '-'
      : `${milliseconds(peer.latency.tail.ms)} (${peer.latency.tail.basis})`,
    milliseconds(peer.jitterMs),
    renderLoss(peer.loss),
    peer.throughput === null
      ? '-'
      : `${figure(peer.throughput.sentMbps, 2)}/${figure(peer.throughput.receivedMbps, 2)}`,
    peer.clockOffset === null
      ? '-'
      : `${figure(peer.clockOffset.offsetMs, 1)}±${figure(peer.clockOffset.errorMs, 1)} ms`,
    figure(peer.quality.value, 2),
    peer.verdict?.status ?? 'unknown',
    printable(peer.diagnosis?.diagnosis ?? '-')
  ])
  const head = [
    ...['peer', 'p50', 'slow end', 'jitter', 'loss', 'Mbit/s out/in', 'clock', 'quality'],
    ...['verdict', 'diagnosis']
  ]
  return table(head, rows)
}

function renderLoss(loss: PeerSummary['loss']): string {
  if (loss.kind === 'insufficientData') return `too few (${loss.sent}/${loss.needed})`
  const { rate, interval } = loss
  const percent = (share: number) => figure(100 * share, 1)
  return `${percent(rate)} % (${percent(interval.low)}–${percent(interval.high)})`
}

/** One row per origin, one column per target: milliseconds, `out`, or a dash. */
export function renderMatrix(body: unknown): string {
  const { rows } = body as { readonly rows: readonly MatrixRow[] }
  const names = [
    ...new Set(rows.flatMap(({ origin, cells }) => [origin, ...cells.map(({ to }) => to)]))
  ].sort()
  if (names.length === 0) return 'nothing was measured yet'
  const cellOf = (from: string, to: string): string => {
    if (from === to) return '.'
    const cell = rows.find(({ origin }) => origin === from)?.cells.find((one) => one.to === to)
    if (cell === undefined) return '-'
    return cell.rttMs === null ? 'out' : figure(cell.rttMs, 2)
  }
  return table(
    ['ms', ...names].map(printable),
    names.map((from) => [printable(from), ...names.map((to) => cellOf(from, to))])
  )
}

type RouteRow = Omit<RelayRoute, 'directMs'> & { readonly directMs: number | null }

export function renderRoutes(body: unknown): string {
  const { routes } = body as { readonly routes: readonly RouteRow[] }
  if (routes.length === 0) return 'every path is straight'
  const rows = routes.map((route) => [
    printable(route.target),
    printable(route.relay),
    route.why,
    route.directMs === null ? 'out' : milliseconds(route.directMs),
    milliseconds(route.viaMs),
    `${figure(100 * route.expectedImprovement, 0)} %`
  ])
  return table(['to', 'by way of', 'why', 'straight', 'with relay', 'saves'], rows)
}

export function renderVerdicts(body: unknown): string {
  const { records } = body as { readonly records: readonly VerdictRecord[] }
  if (records.length === 0) return 'no verdict has changed'
  const rows = records.map(({ from, verdict, confirmations }) => [
    printable(verdict.nodeId),
    `${from} -> ${verdict.status}`,
    verdict.diagnosis,
    figure(verdict.quality, 2),
    String(confirmations),
    printable(verdict.reason)
  ])
  return table(['peer', 'verdict', 'diagnosis', 'quality', 'in a row', 'reason'], rows)
}
