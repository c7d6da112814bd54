/**
 * Files under one node's data directory; names are relative and use `/`. Nothing is durable before
 * `sync`, neither bytes nor names: `syncDirectory` makes creations, renames and removals durable.
 *
 * A failed `sync` leaves the file's durable content unknown: the caller stops (fail-stop) and never
 * calls it again as if nothing had been.
 */
export interface Disk {
  /** Creates the directory and its parents. */
  makeDirectory(path: string): Promise<void>
  /** Names directly below, sorted; empty when the directory does not exist. */
  list(path: string): Promise<string[]>
  /** Null when there is no such file. */
  readFile(path: string): Promise<Uint8Array | null>
  /** Opens for writing; creates the file when missing. A link in its place is refused. */
  open(path: string): Promise<DiskFile>
  /**
   * Opens a file that is too large to be read at once. Null when there is none.
   * @throws DiskFailedError it is a link, or no plain file
   */
  openRead(path: string): Promise<DiskReader | null>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  /** @throws DataDirectoryInUseError another process holds it */
  lock(path: string): Promise<DiskLock>
}

export interface DiskFile {
  readonly sizeBytes: number
  /** Writes at `offset`; the chunks are one write. */
  write(offset: number, chunks: readonly Uint8Array[]): Promise<void>
  /**
   * `write`, durable when it resolves, in one step where it can be. What was written before and not
   * synced may stay so.
   */
  writeDurably(offset: number, chunks: readonly Uint8Array[]): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  /** Durable when it resolves (fdatasync). */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface DiskReader {
  /** When it was opened. */
  readonly sizeBytes: number
  /** The same for the same content; another after every change and for every other file. */
  readonly version: string
  /** Fewer bytes than asked for only where the file ends. */
  read(offset: number, lengthMax: number): Promise<Uint8Array>
  close(): Promise<void>
}

export interface DiskLock {
  release(): Promise<void>
}
