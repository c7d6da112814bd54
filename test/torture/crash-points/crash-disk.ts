/** A disk with crash points: which they are follows from a file's place and from what is done. */
import type { Disk, DiskFile } from '../../../src/core/ports/disk.js'
import type { CrashPoint, CrashPoints } from './crash-points.js'

/** Files that are written beside, renamed, and named durably. */
type Replaced = 'identity' | 'manifest' | 'image'

export function crashingDisk(disk: Disk, points: CrashPoints): Disk {
  /** By directory, what was renamed there and not made durable yet. */
  const renamed = new Map<string, Replaced>()
  return {
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    readFile: (path) => disk.readFile(path),
    openRead: (path) => disk.openRead(path),
    lock: (path) => disk.lock(path),
    async open(path) {
      const file = await disk.open(path)
      if (isSegment(path)) return segment(file, points)
      const kind = replacedAt(path)
      return kind === null ? file : replacement(file, points, kind)
    },
    async rename(from, to) {
      await disk.rename(from, to)
      const kind = replacedAt(to)
      if (kind === null) return
      renamed.set(directoryOf(to), kind)
      points.hit(`${kind}_rename.after`)
    },
    async remove(path) {
      if (isSegment(path)) points.hit('segment_remove.before')
      await disk.remove(path)
      if (isSegment(path)) points.hit('segment_remove.after')
    },
    async syncDirectory(path) {
      await disk.syncDirectory(path)
      if (path === logDirectory) points.hit('segment_name.after')
      const kind = renamed.get(path)
      if (kind === undefined) return
      renamed.delete(path)
      points.hit(`${kind}_name.after`)
    }
  }
}

const logDirectory = 'log'
const isSegment = (path: string): boolean => path.startsWith(`${logDirectory}/`)

const directoryOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

function replacedAt(path: string): Replaced | null {
  if (path === 'identity' || path === 'identity.new') return 'identity'
  if (path.startsWith('incoming/')) return 'manifest'
  return path.startsWith('control/image') ? 'image' : null
}

function segment(file: DiskFile, points: CrashPoints): DiskFile {
  const isFound = file.sizeBytes > 0
  return {
    ...passedOn(file),
    get sizeBytes() {
      return file.sizeBytes
    },
    async write(offset, chunks) {
      points.hit('segment_write.before')
      await file.write(offset, chunks)
    },
    async writeDurably(offset, chunks) {
      points.hit('log_frame.before')
      if (points.isArmed('log_frame.half')) {
        await file.writeDurably(offset, firstHalf(chunks))
        points.hit('log_frame.half')
      }
      await file.writeDurably(offset, chunks)
      points.hit('log_frame.after')
    },
    async sync() {
      const step = isFound ? 'recovery_sync' : 'segment_sync'
      points.hit(`${step}.before`)
      await file.sync()
      points.hit(`${step}.after`)
    }
  }
}

function replacement(file: DiskFile, points: CrashPoints, kind: Replaced): DiskFile {
  const around = async (step: () => Promise<void>) => {
    points.hit(`${kind}_write.before` satisfies CrashPoint)
    await step()
    points.hit(`${kind}_write.after` satisfies CrashPoint)
  }
  return {
    ...passedOn(file),
    get sizeBytes() {
      return file.sizeBytes
    },
    write: (offset, chunks) => file.write(offset, chunks),
    writeDurably: (offset, chunks) => around(() => file.writeDurably(offset, chunks)),
    sync: () => around(() => file.sync())
  }
}

const passedOn = (file: DiskFile) => ({
  truncate: (sizeBytes: number) => file.truncate(sizeBytes),
  close: () => file.close()
})

function firstHalf(chunks: readonly Uint8Array[]): Uint8Array[] {
  let left = Math.floor(chunks.reduce((sum, { length }) => sum + length, 0) / 2)
  return chunks.flatMap((chunk) => {
    const part = chunk.subarray(0, left)
    left -= part.length
    return part.length > 0 ? [part] : []
  })
}
