/**
 * What the membership protocol achieves on virtual time: false deaths of each of its variants
 * beside the published ones, and detection and traffic by the number of members beside formulas
 * and targets.
 */
import { type Config, must, resolveConfig } from '../../core/index.js'
import { type Detection, measureDetection } from './detection.js'
import {
  type Distress,
  type FalseDeaths,
  runDistress,
  type Variant,
  variants
} from './false-deaths.js'

export interface MembershipSimulationOptions {
  /** Members of the experiment with distressed ones. */
  readonly nodes: number
  readonly seed: number
  /** Virtual time of each run of the experiment. */
  readonly seconds: number
  /** Sizes at which detection and traffic are measured. */
  readonly sizes: readonly number[]
  readonly onProgress: (line: string) => void
}

export type MembershipRow = VariantRow | DetectionRow

export interface VariantRow {
  readonly case: 'false deaths'
  readonly subject: string
  readonly nodes: number
  readonly runs: number
  readonly false_deaths: number
  readonly false_deaths_at_healthy: number
  /** Of plain SWIM; null where plain SWIM has none. */
  readonly false_deaths_percent: number | null
  readonly false_deaths_at_healthy_percent: number | null
  readonly messages_percent: number | null
  readonly bytes_percent: number | null
  readonly paper_false_deaths_percent: number | null
  readonly paper_false_deaths_at_healthy_percent: number | null
  readonly paper_messages_percent: number | null
  readonly paper_bytes_percent: number | null
}

export interface DetectionRow {
  readonly case: 'detection'
  readonly subject: string
  readonly nodes: number
  readonly deaths: number
  readonly unnoticed: number
  readonly false_deaths: number
  readonly suspected_mean_ms: number
  readonly suspected_formula_ms: number
  readonly declared_mean_ms: number
  readonly declared_p99_ms: number
  readonly declared_formula_ms: number
  readonly known_everywhere_p50_ms: number
  readonly known_everywhere_worst_ms: number
  readonly known_everywhere_target_ms: number | null
  readonly datagrams_per_second: number
  readonly datagrams_formula_per_second: number
  readonly datagrams_target_per_second: number
  readonly bytes_per_second: number
  readonly bytes_target_per_second: number
  readonly meets_targets: boolean
}

export interface MembershipReport {
  /** Lifeguard keeps its promise of few false deaths, and no death went unnoticed. */
  readonly ok: boolean
  readonly nodes: number
  readonly virtual_seconds: number
  readonly rows: readonly MembershipRow[]
}

/** The share of plain SWIM's false deaths that may remain with everything on. */
const falseDeathsPercentMax = 1.5
/** A sixth of the published grid: the durations at which plain SWIM errs. */
const stillMs = [8_192, 16_384, 32_768]
const workingMs = [64, 4_096]
const distressedShares = [1 / 32, 1 / 8, 1 / 4]

const targets = {
  /** At 100 members, in the median. */
  knownEverywhereMs: 5_000,
  datagramsPerSecond: 2,
  bytesPerSecond: 300
}

export function simulateMembership(options: MembershipSimulationOptions): MembershipReport {
  const distressed = variantRows(options)
  const detected = options.sizes.map((members) => {
    const row = detectionRow(members, options.seed)
    options.onProgress(`${members} members: ${JSON.stringify(row)}`)
    return row
  })
  const full = must(distressed.at(-1), 'the variant with everything on')
  const plain = must(distressed[0], 'plain SWIM')
  return {
    ok:
      plain.false_deaths > 0 &&
      (full.false_deaths_percent ?? 100) <= falseDeathsPercentMax &&
      detected.every((row) => row.unnoticed === 0 && row.false_deaths === 0),
    nodes: options.nodes,
    virtual_seconds: distressed.reduce((sum, row) => sum + row.runs * options.seconds, 0),
    rows: [...distressed, ...detected]
  }
}

function variantRows(options: MembershipSimulationOptions): VariantRow[] {
  const cells = distressGrid(options.nodes)
  const plain = new Map<string, FalseDeaths>()
  return variants.map((variant) => {
    const total: FalseDeaths = { falseDeaths: 0, falseDeathsAtHealthy: 0, datagrams: 0, bytes: 0 }
    for (const [i, cell] of cells.entries()) {
      if (i % 6 === 0) options.onProgress(`${variant.name}: run ${i + 1} of ${cells.length}`)
      const run = runDistress(options.nodes, { ...defaults(), ...variant.config }, cell, {
        seed: options.seed + i,
        durationMs: options.seconds * 1_000
      })
      total.falseDeaths += run.falseDeaths
      total.falseDeathsAtHealthy += run.falseDeathsAtHealthy
      total.datagrams += run.datagrams
      total.bytes += run.bytes
    }
    if (plain.size === 0) plain.set(variant.name, total)
    const row = variantRow(variant, options.nodes, cells.length, total, [...plain.values()][0])
    options.onProgress(`${variant.name}: ${JSON.stringify(row)}`)
    return row
  })
}

function distressGrid(nodes: number): Distress[] {
  return distressedShares.flatMap((share) =>
    stillMs.flatMap((still) =>
      workingMs.map((working) => ({
        count: Math.max(1, Math.round(nodes * share)),
        stillMs: still,
        workingMs: working
      }))
    )
  )
}

function variantRow(
  variant: Variant,
  nodes: number,
  runs: number,
  total: FalseDeaths,
  plain: FalseDeaths = total
): VariantRow {
  const percent = (value: number, of: number): number | null =>
    of === 0 ? null : rounded((100 * value) / of)
  const { paper } = variant
  return {
    case: 'false deaths',
    subject: variant.name,
    nodes,
    runs,
    false_deaths: total.falseDeaths,
    false_deaths_at_healthy: total.falseDeathsAtHealthy,
    false_deaths_percent: percent(total.falseDeaths, plain.falseDeaths),
    false_deaths_at_healthy_percent: percent(
      total.falseDeathsAtHealthy,
      plain.falseDeathsAtHealthy
    ),
    messages_percent: percent(total.datagrams, plain.datagrams),
    bytes_percent: percent(total.bytes, plain.bytes),
    paper_false_deaths_percent: paper?.falseDeaths ?? null,
    paper_false_deaths_at_healthy_percent: paper?.falseDeathsAtHealthy ?? null,
    paper_messages_percent: paper?.messages ?? null,
    paper_bytes_percent: paper?.bytes ?? null
  }
}

function detectionRow(members: number, seed: number): DetectionRow {
  const deaths = deathsAt(members)
  const measured = measureDetection(members, defaults(), { deaths, seed, lossShare: 0 })
  const { suspectedMs, declaredMs, knownEverywhereMs, formulas } = measured
  const noticed = knownEverywhereMs.filter(Number.isFinite)
  const p50 = percentile(knownEverywhereMs, 0.5)
  return {
    case: 'detection',
    subject: 'lan defaults',
    nodes: members,
    deaths: measured.deaths,
    unnoticed: measured.deaths - noticed.length,
    false_deaths: measured.falseDeaths,
    suspected_mean_ms: mean(suspectedMs),
    suspected_formula_ms: rounded(formulas.suspectedMs),
    declared_mean_ms: mean(declaredMs),
    declared_p99_ms: percentile(declaredMs, 0.99),
    declared_formula_ms: rounded(formulas.declaredMs),
    known_everywhere_p50_ms: p50,
    known_everywhere_worst_ms: percentile(knownEverywhereMs, 1),
    known_everywhere_target_ms: members === 100 ? targets.knownEverywhereMs : null,
    datagrams_per_second: rounded(measured.datagramsPerMemberSecond),
    datagrams_formula_per_second: formulas.datagramsPerMemberSecond,
    datagrams_target_per_second: targets.datagramsPerSecond,
    bytes_per_second: rounded(measured.bytesPerMemberSecond),
    bytes_target_per_second: targets.bytesPerSecond,
    meets_targets: meetsTargets(measured, p50)
  }
}

const meetsTargets = (measured: Detection, knownEverywhereMs: number): boolean =>
  (measured.members !== 100 || knownEverywhereMs <= targets.knownEverywhereMs) &&
  measured.datagramsPerMemberSecond <= targets.datagramsPerSecond &&
  measured.bytesPerMemberSecond <= targets.bytesPerSecond

/** At 100 members the median is a target, so it is taken of more. */
const deathsAt = (members: number): number => {
  if (members > 300) return 10
  return members === 100 ? 100 : 40
}

/** Those of a local network. */
function defaults(): Config['membership'] {
  return resolveConfig({
    code: {
      node: { id: 'n', dataDirectory: 'n' },
      cluster: { bootstrap: { voters: ['n'] } },
      security: { insecure: true }
    }
  }).membership
}

const rounded = (value: number): number => Math.round(value * 100) / 100

const mean = (values: readonly number[]): number =>
  rounded(values.reduce((sum, value) => sum + value, 0) / values.length)

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
}
