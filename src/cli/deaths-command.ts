/** `deaths`: why a node held a member dead. */
import { Command } from 'commander'
import type { DeathRecord } from '../core/index.js'
import { askNode, milliseconds, seconds } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions } from './connection-options.js'
import { type Output, printable, table } from './output.js'

export function deathsCommand(output: Output): Command {
  const command = new Command('deaths')
    .description('show why one node held a member dead, the latest time')
    .argument('<id>', 'the member')
  return addConnectionOptions(command).action((id: string, options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.get(`/v1/deaths/${encodeURIComponent(id)}`, timeoutMs),
      renderDeath
    )
  )
}

type DeathAnswer = DeathRecord & { readonly now: number }

export function renderDeath(body: unknown): string {
  const death = body as DeathAnswer
  const { now, suspicion, lastFailedProbe: failed, lastLate } = death
  const ago = (at: number) => `${seconds(now - at)} ago`
  const how =
    death.verdictBy === 'ownTimer' ? 'its suspicion ran out here' : `${death.accuser} said so`
  const lines = [
    `${death.nodeId} (incarnation ${death.incarnation}): dead ${ago(death.at)}, ${how}`,
    `last seen ${ago(death.lastSeen)}; ${death.liveMembers} members lived`
  ]
  if (suspicion !== null) {
    const { confirmedBy, minMs, maxMs, expectedConfirmations } = suspicion
    const confirmed = confirmedBy.length === 0 ? 'nobody' : confirmedBy.join(', ')
    lines.push(
      `suspected ${ago(suspicion.startedAt)} by ${suspicion.accuser}, confirmed by ${confirmed}`,
      `it could last from ${seconds(minMs)}, with ${expectedConfirmations} confirmations, to ` +
        seconds(maxMs)
    )
  }
  if (failed !== null) {
    const helpers = failed.helpers.length === 0 ? 'nobody' : failed.helpers.join(', ')
    const stream = failed.streamTried ? 'the stream was tried too' : 'not by stream'
    lines.push(`last failed probe ${ago(failed.sentAt)}: asked for help ${helpers}; ${stream}`)
  }
  if (death.localHealthMultiplier > 1) {
    lines.push(`this node doubted itself: its timeouts were ${death.localHealthMultiplier} times`)
  }
  if (lastLate !== null) {
    lines.push(`this node stood still for ${milliseconds(lastLate.lateMs)} ${ago(lastLate.at)}`)
  }
  if (death.refutations.length > 0) {
    lines.push(`it had contradicted ${death.refutations.length} accusations before`)
  }
  const probes = death.probes.map(({ sentAt, outcome, roundTripMs }) => [
    ago(sentAt),
    outcome,
    milliseconds(roundTripMs)
  ])
  const text = lines.map(printable).join('\n')
  if (probes.length === 0) return text
  return `${text}\n\n${table(['probe', 'answer', 'round trip'], probes)}`
}
