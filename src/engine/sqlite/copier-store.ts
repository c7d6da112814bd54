import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  statfsSync,
  writeSync
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { must } from '../../core/assert.js'
import { SnapshotRefusedError } from '../../core/errors.js'
import type { LogIndex } from '../../core/ids.js'
import type { SnapshotDescription, SystemWrite } from '../../core/ports/engine.js'
import { stateTable, systemTable } from './names.js'
import { syncDirectory } from './sync-directory-store.js'
import { takenFiles } from './taken-files.js'

/** A database file of SQLite's with the tables of this engine, and no journal beside it. */
export const snapshotFormat = 1

/** The names of all files of an engine's directory; none comes from elsewhere. */
export const databaseFile = 'data.sqlite'
export const incomingFile = 'incoming.sqlite'

/** All in one step: where another follows, it begins anew when a writer came between. */
const pagesPerStep = 0x7fff_ffff
const hashBufferBytes = 1024 * 1024
/** Left free beside a snapshot that comes in, so that the log can go on. */
const spareBytes = 16 * 1024 * 1024
/** The unit of `blocks` in what `stat` tells. */
const statBlockBytes = 512
const journalSuffixes = ['-journal', '-wal', '-shm']

/** A copy of a database beside it, taken or coming in. Blocks its own thread alone. */
export class CopierStore {
  readonly #directory: string
  #pinned: Database.Database | null = null
  #takenFile: (typeof takenFiles)[number] = takenFiles[0]
  #taken: number | null = null
  #incoming: number | null = null

  constructor(directory: string) {
    this.#directory = directory
  }

  beginTake(slot: number): void {
    this.#takenFile = must(takenFiles[slot], 'a slot')
    this.dropTaken()
    this.#pinned = new Database(join(this.#directory, databaseFile), { readonly: true })
  }

  /** What is applied now is what `take` copies, however long that takes. */
  pin(): void {
    const source = must(this.#pinned, 'a database to copy')
    source.exec('BEGIN')
    // The first look is what holds the moment.
    appliedIndexOf(source)
  }

  async take(): Promise<SnapshotDescription> {
    const file = join(this.#directory, this.#takenFile)
    const source = must(this.#pinned, 'a database to copy')
    try {
      await source.backup(file, { progress: () => pagesPerStep })
    } finally {
      this.#unpin()
    }
    const copy = new Database(file)
    let index: number
    try {
      copy.pragma('journal_mode = DELETE')
      index = appliedIndexOf(copy)
    } finally {
      copy.close()
    }
    this.#taken = openSync(file, 'r')
    const { size: sizeBytes } = fstatSync(this.#taken)
    const sha256 = sha256Of(this.#taken, sizeBytes)
    return { index: index as LogIndex, format: snapshotFormat, sizeBytes, sha256 }
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    const bytes = new Uint8Array(lengthBytes)
    readFully(must(this.#taken, 'a snapshot'), bytes, offset)
    return bytes
  }

  dropTaken(): void {
    if (this.#taken !== null) closeSync(this.#taken)
    this.#taken = null
    this.#unpin()
    remove(this.#directory, this.#takenFile)
  }

  #unpin(): void {
    this.#pinned?.close()
    this.#pinned = null
  }

  begin({ format, sizeBytes }: SnapshotDescription): void {
    expectFormat(format)
    this.dropIncoming()
    this.#expectRoom(sizeBytes, 0)
    this.#incoming = openSync(join(this.#directory, incomingFile), 'wx+', 0o600)
  }

  /** Goes on with what a process before this one has written, whatever became of that. */
  resume({ format, sizeBytes }: SnapshotDescription): void {
    expectFormat(format)
    const file = join(this.#directory, incomingFile)
    // A crash during a check leaves a journal; it would undo what is written from now on.
    for (const suffix of journalSuffixes) rmSync(`${file}${suffix}`, { force: true })
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
    this.#incoming = openSync(file, flags, 0o600)
    const { size, blocks } = fstatSync(this.#incoming)
    if (size > sizeBytes) ftruncateSync(this.#incoming, sizeBytes)
    this.#expectRoom(sizeBytes, blocks * statBlockBytes)
  }

  #expectRoom(sizeBytes: number, writtenBytes: number): void {
    const { bavail, bsize } = statfsSync(this.#directory)
    if (bavail * bsize + writtenBytes < sizeBytes + spareBytes) {
      throw new SnapshotRefusedError(`no room for ${sizeBytes} bytes`)
    }
  }

  /** Shorter where the file ends. */
  readIncoming(offset: number, lengthMax: number): Uint8Array {
    const bytes = new Uint8Array(lengthMax)
    const fd = must(this.#incoming, 'a restore')
    let length = 0
    for (let count = -1; count !== 0 && length < lengthMax; length += count) {
      count = readSync(fd, bytes, length, lengthMax - length, offset + length)
    }
    return bytes.subarray(0, length)
  }

  sync(): void {
    fdatasyncSync(must(this.#incoming, 'a restore'))
    syncDirectory(this.#directory)
  }

  write(offset: number, bytes: Uint8Array): void {
    const fd = must(this.#incoming, 'a restore')
    for (let at = 0; at < bytes.length; ) {
      at += writeSync(fd, bytes, at, bytes.length - at, offset + at)
    }
  }

  /** All bytes are there; afterwards the file can take the database's place. */
  check({ index, sizeBytes, sha256 }: SnapshotDescription, writes: readonly SystemWrite[]): void {
    const fd = must(this.#incoming, 'a restore')
    const found = fstatSync(fd).size
    if (found !== sizeBytes) throw new SnapshotRefusedError(`${found} of ${sizeBytes} bytes`)
    if (Buffer.compare(sha256Of(fd, sizeBytes), sha256) !== 0) {
      throw new SnapshotRefusedError('the SHA-256 of the whole does not fit')
    }
    const copy = new Database(join(this.#directory, incomingFile))
    try {
      copy.pragma('journal_mode = DELETE')
      copy.pragma('synchronous = FULL')
      if (copy.pragma('quick_check', { simple: true }) !== 'ok') {
        throw new SnapshotRefusedError('the database in it is damaged')
      }
      const applied = appliedIndexOf(copy)
      if (applied !== index) throw new SnapshotRefusedError(`it has ${applied}, not ${index}`)
      putSystem(copy, writes)
    } finally {
      copy.close()
    }
    fsyncSync(fd)
  }

  dropIncoming(): void {
    this.closeIncoming()
    remove(this.#directory, incomingFile)
  }

  closeIncoming(): void {
    if (this.#incoming !== null) closeSync(this.#incoming)
    this.#incoming = null
  }
}

function expectFormat(format: number): void {
  if (format === snapshotFormat) return
  throw new SnapshotRefusedError(`format ${format}; this engine reads ${snapshotFormat}`)
}

/** What a process that died left behind. */
export function sweep(directory: string, keepsRestore: boolean): void {
  for (const name of takenFiles) remove(directory, name)
  if (!keepsRestore) remove(directory, incomingFile)
}

function remove(directory: string, name: string): void {
  for (const suffix of ['', ...journalSuffixes]) {
    const file = join(directory, `${name}${suffix}`)
    if (existsSync(file)) rmSync(file)
  }
}

/** Of one of ours: another database has no such table. */
export function appliedIndexOf(db: Database.Database): number {
  const isOurs =
    db.prepare('SELECT 1 FROM sqlite_schema WHERE name IN (?, ?)').all(stateTable, systemTable)
      .length === 2
  if (!isOurs) throw new SnapshotRefusedError('it is no database of this engine')
  return Number(db.prepare(`SELECT applied_index FROM ${stateTable}`).pluck().get())
}

function putSystem(db: Database.Database, writes: readonly SystemWrite[]): void {
  const put = db.prepare(`INSERT OR REPLACE INTO ${systemTable} VALUES (?, ?)`)
  const drop = db.prepare(`DELETE FROM ${systemTable} WHERE key = ?`)
  db.transaction(() => {
    for (const { key, value } of writes) value === null ? drop.run(key) : put.run(key, value)
  })()
}

function sha256Of(fd: number, sizeBytes: number): Uint8Array {
  const hash = createHash('sha256')
  const buffer = new Uint8Array(hashBufferBytes)
  for (let at = 0; at < sizeBytes; at += hashBufferBytes) {
    const part = buffer.subarray(0, Math.min(hashBufferBytes, sizeBytes - at))
    readFully(fd, part, at)
    hash.update(part)
  }
  return Uint8Array.from(hash.digest())
}

function readFully(fd: number, into: Uint8Array, offset: number): void {
  for (let at = 0; at < into.length; ) {
    const count = readSync(fd, into, at, into.length - at, offset + at)
    if (count === 0) throw new SnapshotRefusedError('the file ends sooner than it did')
    at += count
  }
}
