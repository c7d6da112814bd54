/** What the groups of the simulation hold and run: accounts, and sums of money that move. */
import { keptResultSizeBytesMax } from '../../../src/core/limits.js'
import type { Command } from '../../../src/core/ports/engine.js'
import type { LockKeys } from '../../../src/failover/two-phase/lock-holders.js'
import type { Planned } from '../../../src/failover/two-phase/participant.js'

export type Operation =
  | { readonly kind: 'add'; readonly key: string; readonly amount: number }
  | { readonly kind: 'read'; readonly key: string }
  /** Every account of the group. */
  | { readonly kind: 'readAll' }
  /** Puts a value where `when` holds what it holds: what a transaction does with what it read. */
  | {
      readonly kind: 'putIf'
      readonly when: string
      readonly is: number
      readonly key: string
      readonly value: number
    }

export type Values = Map<string, number>

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const encodeOperations = (operations: readonly Operation[]): Uint8Array =>
  encoder.encode(JSON.stringify(operations))

export const decodeResults = (bytes: Uint8Array): [string, number][] =>
  JSON.parse(decoder.decode(bytes)) as [string, number][]

export const changesOf = ({ bytes }: Command): [string, number][] =>
  JSON.parse(decoder.decode(bytes)) as [string, number][]

export const commandOf = (changes: readonly [string, number][]): Command => ({
  tag: 'rows',
  bytes: encoder.encode(JSON.stringify(changes))
})

/** Runs a branch on what is there and changes nothing of it. */
export function plan(data: Uint8Array, values: Values): Extract<Planned, { kind: 'planned' }> {
  const operations = JSON.parse(decoder.decode(data)) as Operation[]
  const seen = new Map(values)
  const changed = new Set<string>()
  const results: [string, number][] = []
  const read = new Set<string>()
  let readsAll = false
  const look = (key: string): number => {
    read.add(key)
    const value = seen.get(key) ?? 0
    results.push([key, value])
    return value
  }
  const set = (key: string, value: number) => {
    seen.set(key, value)
    changed.add(key)
  }
  for (const operation of operations) {
    if (operation.kind === 'add') set(operation.key, look(operation.key) + operation.amount)
    else if (operation.kind === 'read') look(operation.key)
    else if (operation.kind === 'putIf') {
      if (look(operation.when) === operation.is) set(operation.key, operation.value)
    } else {
      readsAll = true
      for (const key of [...seen.keys()].sort()) look(key)
    }
  }
  const readKeys: LockKeys = readsAll ? 'all' : [...read]
  const bytes = encoder.encode(JSON.stringify(results))
  const changes = [...changed].map((key): [string, number] => [key, seen.get(key) ?? 0])
  return {
    kind: 'planned',
    locks: { readKeys, writeKeys: [...changed] },
    command: changes.length === 0 ? null : commandOf(changes),
    results: bytes,
    kept: bytes.length <= keptResultSizeBytesMax ? bytes : null
  }
}
