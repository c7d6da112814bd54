/**
 * What a metric is: a counter only rises from the start of the process, a gauge says how it is now.
 * The unit says how the value of `getAllMetrics()` becomes the base unit of the exposition.
 */
export type MetricKind = 'counter' | 'gauge'
export type MetricUnit = 'none' | 'bytes' | 'milliseconds' | 'days' | 'ratio' | 'megabits'

export interface Metric {
  readonly kind: MetricKind
  readonly unit: MetricUnit
  /** One sentence without its subject: what is counted, or what is now. */
  readonly about: string
}

export type MetricFamily = Readonly<Record<string, Metric>>

export const counter = (about: string, unit: MetricUnit = 'none'): Metric => ({
  kind: 'counter',
  unit,
  about
})

export const gauge = (about: string, unit: MetricUnit = 'none'): Metric => ({
  kind: 'gauge',
  unit,
  about
})
