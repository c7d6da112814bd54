import type { Disk, DiskFile } from '../core/index.js'

export interface SyncCount {
  inFlight: number
}

/** The same disk; `count` says how many syncs it is busy with. */
export function withSyncCount(disk: Disk, count: SyncCount): Disk {
  return {
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    readFile: (path) => disk.readFile(path),
    open: async (path) => countedFile(await disk.open(path), count),
    openRead: (path) => disk.openRead(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (path) => counted(count, disk.syncDirectory(path)),
    lock: (path) => disk.lock(path)
  }
}

function countedFile(file: DiskFile, count: SyncCount): DiskFile {
  return {
    get sizeBytes() {
      return file.sizeBytes
    },
    write: (offset, chunks) => file.write(offset, chunks),
    writeDurably: (offset, chunks) => counted(count, file.writeDurably(offset, chunks)),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    sync: () => counted(count, file.sync()),
    close: () => file.close()
  }
}

async function counted(count: SyncCount, sync: Promise<void>): Promise<void> {
  count.inFlight++
  try {
    await sync
  } finally {
    count.inFlight--
  }
}
