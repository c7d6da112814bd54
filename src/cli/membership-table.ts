/** What the membership protocol achieves, beside what was published and what is aimed at. */
import type { MembershipRow } from '../../lib/testing.js'

type Cell = string | number | null

/** Two tables of aligned columns: the variants, then the sizes. */
export function membershipTable(rows: readonly MembershipRow[]): string[] {
  const variants = rows.flatMap((row): Cell[][] =>
    row.case === 'detection'
      ? []
      : [
          [
            row.subject,
            row.false_deaths,
            ...[row.false_deaths_percent, row.paper_false_deaths_percent],
            ...[row.false_deaths_at_healthy_percent, row.paper_false_deaths_at_healthy_percent],
            ...[row.messages_percent, row.paper_messages_percent],
            ...[row.bytes_percent, row.paper_bytes_percent]
          ]
        ]
  )
  const sizes = rows.flatMap((row): Cell[][] =>
    row.case === 'detection'
      ? [
          [
            `${row.nodes} members`,
            row.deaths,
            ...[row.suspected_mean_ms, row.suspected_formula_ms],
            ...[row.declared_mean_ms, row.declared_formula_ms],
            ...[row.known_everywhere_p50_ms, row.known_everywhere_target_ms],
            ...[row.datagrams_per_second, row.datagrams_formula_per_second],
            row.datagrams_target_per_second,
            ...[row.bytes_per_second, row.bytes_target_per_second],
            row.meets_targets ? 'yes' : 'no'
          ]
        ]
      : []
  )
  return [...aligned(variantsHead, variants), '', ...aligned(sizesHead, sizes)]
}

const variantsHead = [
  'variant',
  'false deaths',
  ...['% of SWIM', 'published'],
  ...['at healthy %', 'published'],
  ...['messages %', 'published'],
  ...['bytes %', 'published']
]

const sizesHead = [
  'at rest, then deaths',
  'deaths',
  ...['suspected ms', 'formula'],
  ...['declared ms', 'formula'],
  ...['known to all ms', 'aim'],
  ...['datagrams/s', 'formula', 'aim'],
  ...['bytes/s', 'aim'],
  'met'
]

function aligned(head: readonly string[], body: readonly (readonly Cell[])[]): string[] {
  const lines = [head, ...body.map((row) => row.map((cell) => String(cell ?? '-')))]
  const widths = head.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)))
  return lines.map((line) =>
    line
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
  )
}
