import { InvalidArgumentError } from '../../core/errors.js'
import { failureDomains, type RestartOptions } from '../../core/rolling-restart.js'

export const restartDefaults: RestartOptions = {
  preCheckTimeoutMs: 60_000,
  routingTimeoutMs: 15_000,
  leadersTimeoutMs: 15_000,
  sessionsTimeoutMs: 30_000,
  inFlightTimeoutMs: 10_000,
  restartTimeoutMs: 300_000,
  rejoinTimeoutMs: 600_000,
  delayMs: 5_000,
  canaryDelayMs: 30_000,
  lagEntriesMax: 1_024,
  errorRateMax: null,
  p99MsMax: null,
  failureDomain: 'rack',
  canary: null
}

/** A day. */
const phaseMsMax = 86_400_000

const phases = [
  'preCheckTimeoutMs',
  'routingTimeoutMs',
  'leadersTimeoutMs',
  'sessionsTimeoutMs',
  'inFlightTimeoutMs',
  'restartTimeoutMs',
  'rejoinTimeoutMs',
  'delayMs',
  'canaryDelayMs'
] as const

/** @throws InvalidArgumentError with every fault at once */
export function resolveRestartOptions(given: Partial<RestartOptions> = {}): RestartOptions {
  const options: RestartOptions = { ...restartDefaults, ...given }
  const faults: string[] = []
  const check = (name: keyof RestartOptions, ok: boolean, rule: string) => {
    if (!ok) faults.push(`${name} must be ${rule}, got ${String(options[name])}`)
  }
  for (const name of phases) {
    check(name, isCount(options[name], phaseMsMax), `an integer from 0 to ${phaseMsMax}`)
  }
  check('lagEntriesMax', isCount(options.lagEntriesMax, 0xffff_ffff), 'a count of entries')
  check('errorRateMax', isNullOr(options.errorRateMax, 1), 'null or a share from 0 to 1')
  check('p99MsMax', isNullOr(options.p99MsMax, phaseMsMax), 'null or a number of ms')
  const domains = failureDomains.join(', ')
  check('failureDomain', failureDomains.includes(options.failureDomain), `one of ${domains}`)
  const [first] = faults
  if (first === undefined) return options
  throw new InvalidArgumentError(first.slice(0, first.indexOf(' ')), first, faults)
}

const isCount = (value: number, max: number): boolean =>
  Number.isInteger(value) && value >= 0 && value <= max

const isNullOr = (value: number | null, max: number): boolean =>
  value === null || (Number.isFinite(value) && value >= 0 && value <= max)
