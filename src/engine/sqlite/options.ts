import { InvalidArgumentError } from '../../core/errors.js'

export const Isolations = {
  /** A thread for the writer and one for each reader. */
  Thread: 'thread',
  /** A process for each: what runs beyond its deadline can be killed. */
  Process: 'process',
  /** In the caller's thread: for tests and tools; a slow statement blocks everything. */
  Inline: 'inline'
} as const
export type Isolation = (typeof Isolations)[keyof typeof Isolations]

export interface SqliteEngineSettings {
  readonly isolation: Isolation
  /** Reads that run at the same time. Raising it: more threads or processes, 10 to 40 MB each. */
  readonly readers: number
  /** Reads that wait for a reader or an index; beyond it they are refused. */
  readonly readQueueLengthMax: number
  /** Threads left behind in statements that cannot be stopped; beyond it reads are refused. */
  readonly abandonedReadersMax: number
  /** A statement that does not end by itself is given so long beyond its deadline. */
  readonly deadlineGraceMs: number
  /** Prepared statements of each connection. */
  readonly statementCacheMax: number
  /** Page cache of each connection, in KiB. Raising it: fewer reads of the file, more memory. */
  readonly cacheSizeKib: number
  /** Pages in the write-ahead file that start a checkpoint. Raising it: rarer, longer pauses. */
  readonly walAutocheckpointPages: number
}

export type SqliteEngineOptions = Partial<SqliteEngineSettings>

const defaults: SqliteEngineSettings = {
  isolation: Isolations.Thread,
  readers: 2,
  readQueueLengthMax: 4_096,
  abandonedReadersMax: 2,
  deadlineGraceMs: 250,
  statementCacheMax: 256,
  cacheSizeKib: 16_384,
  walAutocheckpointPages: 4_000
}

/** @throws InvalidArgumentError */
export function resolveSettings(options: SqliteEngineOptions): SqliteEngineSettings {
  const settings = { ...defaults, ...options }
  if (!Object.values(Isolations).includes(settings.isolation)) {
    throw new InvalidArgumentError('isolation', `must be ${Object.values(Isolations).join(', ')}`)
  }
  for (const [name, value] of Object.entries(settings)) {
    if (name === 'isolation') continue
    const min = name === 'abandonedReadersMax' || name === 'deadlineGraceMs' ? 0 : 1
    if (!Number.isSafeInteger(value) || Number(value) < min) {
      throw new InvalidArgumentError(name, `must be an integer from ${min}, got ${value}`)
    }
  }
  return settings
}
