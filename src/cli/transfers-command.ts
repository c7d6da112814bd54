/** `transfers` and `tenants`: what nodes bring one another. */
import { Command } from 'commander'
import type { BreakerView, TenantMetadata, TransferView } from '../core/index.js'
import { askNode, seconds } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions } from './connection-options.js'
import { type Output, printable, table } from './output.js'

export function transfersCommand(output: Output): Command {
  const command = new Command('transfers').description(
    'show files on their way to and from one node, and the latest that ended'
  )
  return addConnectionOptions(command).action((options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.get('/v1/transfers', timeoutMs),
      renderTransfers
    )
  )
}

export function tenantsCommand(output: Output): Command {
  const command = new Command('tenants').description('show what one node has heard of tenants')
  return addConnectionOptions(command).action((options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.get('/v1/tenants', timeoutMs),
      renderTenants
    )
  )
}

type TransferRow = Omit<TransferView, 'startedAt' | 'endedAt'> & {
  readonly startedAgoMs: number
  readonly endedAgoMs: number | null
}

export function renderTransfers(body: unknown): string {
  const { transfers, breakers } = body as {
    readonly transfers: readonly TransferRow[]
    readonly breakers: readonly BreakerView[]
  }
  const rows = transfers.map((transfer) => [
    ...[transfer.direction, transfer.peer, transfer.file].map(printable),
    transfer.failure === null
      ? transfer.state
      : printable(`${transfer.state}: ${transfer.failure}`),
    progressOf(transfer),
    String(transfer.chunksDamaged),
    seconds(transfer.startedAgoMs)
  ])
  const head = ['way', 'node', 'file', 'state', 'bytes', 'damaged', 'since']
  const shown = rows.length === 0 ? 'nothing is transferred' : table(head, rows)
  if (breakers.length === 0) return shown
  const waits = breakers.map(({ nodeId, state, retryInMs }) => [
    printable(nodeId),
    state,
    retryInMs === null ? '' : seconds(retryInMs)
  ])
  return `${shown}\n\n${table(['node', 'breaker', 'asked again in'], waits)}`
}

function progressOf({ doneBytes, sizeBytes }: TransferRow): string {
  if (sizeBytes === null) return ''
  const percent = sizeBytes === 0 ? 100 : Math.floor((doneBytes / sizeBytes) * 100)
  return `${doneBytes} of ${sizeBytes} (${percent} %)`
}

export function renderTenants(body: unknown): string {
  const { tenants } = body as { readonly tenants: readonly TenantMetadata[] }
  const rows = tenants.map((tenant) => [
    printable(tenant.tenant),
    printable(tenant.services.join(' ')),
    String(tenant.clients),
    String(tenant.sizeBytes),
    printable(tenant.origin),
    new Date(tenant.changedAt).toISOString()
  ])
  const head = ['tenant', 'services', 'clients', 'bytes', 'said by', 'at']
  return rows.length === 0 ? 'no tenant is known' : table(head, rows)
}
