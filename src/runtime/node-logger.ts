import { pino } from 'pino'
import type { Logger } from '../core/index.js'

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export interface NodeLoggerOptions {
  readonly level: LogLevel
  /** On every line, such as the node's id. */
  readonly bindings: Readonly<Record<string, string | number>>
  /** Where the lines go; 2, standard error, leaves standard output to results. */
  readonly fileDescriptor: number
}

/**
 * One JSON object a line, written before the call returns: nothing is lost when the process dies.
 */
export function nodeLogger(options: NodeLoggerOptions): Logger {
  return pino(
    {
      level: options.level,
      base: options.bindings,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err, cause: pino.stdSerializers.err }
    },
    pino.destination({ dest: options.fileDescriptor, sync: true })
  )
}
