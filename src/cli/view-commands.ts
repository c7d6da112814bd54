/** `metrics`: one question to one node, and its answer as a table. */
import { Command } from 'commander'
import type { MetricsSnapshot } from '../core/index.js'
import { askNode } from './ask-node.js'
import { addConnectionOptions, type ConnectionOptions } from './connection-options.js'
import { type Output, table } from './output.js'

export const metricsCommand = (output: Output): Command =>
  addConnectionOptions(
    new Command('metrics').description('show every metric of one node, by category')
  ).action((options: ConnectionOptions) =>
    askNode(
      options,
      output,
      (client, timeoutMs) => client.get('/v1/metrics', timeoutMs),
      renderMetrics
    )
  )

export const renderMetrics = (metrics: unknown): string =>
  Object.entries(metrics as MetricsSnapshot)
    .map(([category, values]) => {
      const rows = Object.entries(values).map(([name, value]) => [name, String(value)])
      return table([category, ''], rows)
    })
    .join('\n\n')
