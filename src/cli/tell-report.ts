import type { TellReport } from '../core/index.js'
import { printable } from './output.js'

/** `2 of 3 members; c: ERR_SKEIN_NOT_SENT …` */
export function describeReport({ nodes, responses, errors }: TellReport): string {
  const failures = errors.map(({ nodeId, code, message }) =>
    printable(`\n  ${nodeId}: ${code}: ${message}`).replaceAll('\\x0a', '\n')
  )
  return `${responses} of ${nodes} members${failures.join('')}`
}
