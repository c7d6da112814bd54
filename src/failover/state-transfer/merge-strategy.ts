/**
 * Which of two states in conflict is kept. Both nodes come to the same answer, whichever of them
 * asks: nothing but the states themselves is looked at, down to their bytes.
 */
import { compareText } from '../../core/ids.js'
import { MergeStrategies, type ServiceState } from '../../core/state-sync.js'
import { totalOf, toWireVersion } from './version-vector.js'

export type KeepingStrategy =
  | typeof MergeStrategies.LastWriterWins
  | typeof MergeStrategies.HigherVersion

export function keptOf(
  strategy: KeepingStrategy,
  local: ServiceState,
  remote: ServiceState
): 'local' | 'remote' {
  const byTime = local.changedAt - remote.changedAt
  const byTotal = totalOf(local.version) - totalOf(remote.version)
  const order =
    (strategy === MergeStrategies.LastWriterWins ? byTime || byTotal : byTotal || byTime) ||
    compareText(nameOf(local), nameOf(remote)) ||
    compareBytes(local.data, remote.data)
  return order >= 0 ? 'local' : 'remote'
}

const nameOf = ({ version }: ServiceState): string =>
  toWireVersion(version)
    .map((entry) => `${entry.origin}=${entry.version}`)
    .join(',')

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
