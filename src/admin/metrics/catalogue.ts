import { admin } from './admin.js'
import { backups } from './backups.js'
import { communication } from './communication.js'
import { consensus } from './consensus.js'
import { control } from './control.js'
import { delivery } from './delivery.js'
import { failover } from './failover.js'
import { health } from './health.js'
import { loadBalancer } from './load-balancer.js'
import type { Metric, MetricFamily, MetricUnit } from './metric.js'
import { security } from './security.js'
import { sessions } from './sessions.js'
import { stateSync } from './state-sync.js'
import { topology } from './topology.js'
import { transactions } from './transactions.js'

/** Every metric by category and name, as `getAllMetrics()` answers; `admin` is the server's own. */
export const metricCatalogue: Readonly<Record<string, MetricFamily>> = {
  topology,
  communication,
  delivery,
  load_balancer: loadBalancer,
  consensus,
  control,
  health,
  security,
  sessions,
  state_sync: stateSync,
  transactions,
  backups,
  failover,
  admin
}

/** How one metric is exposed, in base units. */
export interface ExposedMetric {
  readonly name: string
  readonly help: string
  readonly kind: Metric['kind']
  readonly factor: number
  /** False: it is none of the catalogue's. */
  readonly isDescribed: boolean
}

/** A metric of an embedder's own rooms is exposed too, as a gauge of which nothing is known. */
const undescribed: Metric = { kind: 'gauge', unit: 'none', about: 'Not described.' }

const units: Readonly<
  Record<MetricUnit, { readonly strip: RegExp; readonly suffix: string; readonly factor: number }>
> = {
  none: { strip: /(_count)?$/, suffix: '', factor: 1 },
  bytes: { strip: /_?bytes/, suffix: '_bytes', factor: 1 },
  milliseconds: { strip: /_ms$/, suffix: '_seconds', factor: 0.001 },
  days: { strip: /_days/, suffix: '_seconds', factor: 86_400 },
  ratio: { strip: /_rate$/, suffix: '_ratio', factor: 1 },
  megabits: { strip: /_mbps$/, suffix: '_bytes_per_second', factor: 125_000 }
}

export function exposedAs(category: string, name: string): ExposedMetric {
  const described = Object.hasOwn(metricCatalogue, category)
    ? ownOf(metricCatalogue[category] ?? {}, name)
    : undefined
  const metric = described ?? undescribed
  const { strip, suffix, factor } = units[metric.unit]
  const base = `skein_${category}_${name.replace(strip, '')}`.replace(/_+/g, '_').replace(/_$/, '')
  const total = metric.kind === 'counter' ? '_total' : ''
  return {
    name: `${base}${suffix}${total}`,
    help: metric.about,
    kind: metric.kind,
    factor,
    isDescribed: described !== undefined
  }
}

const ownOf = (family: MetricFamily, name: string): Metric | undefined =>
  Object.hasOwn(family, name) ? family[name] : undefined

/** The table of `docs/metrics.md`. */
export function metricTable(category: string): string {
  const rows = Object.entries(metricCatalogue[category] ?? {}).map(([name, { kind, about }]) => {
    const exposed = exposedAs(category, name)
    return `| \`${name}\` | \`${exposed.name}\` | ${kind} | ${about} |`
  })
  return ['| name | in the exposition | kind | what |', '|---|---|---|---|', ...rows].join('\n')
}
