import type { Crypto } from '../../core/ports/crypto.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Logger } from '../../core/ports/logger.js'
import { replaceFile } from '../identity/replace-file-driver.js'
import { hex } from '../identity/replica-identity.js'
import { decodeMark, encodeMark, nextMark, type StartMark } from './start-mark.js'

/**
 * A file of its own: software that does not know of it leaves it alone, where it would lose a
 * field of the identity.
 */
export const startFile = 'start'
const nonceBytes = 8

export interface StartMarkComponents {
  readonly disk: Disk
  readonly crypto: Crypto
  readonly logger: Logger
}

/**
 * Counts this start; before anything is sent, once per process. Durable when it resolves. A disk
 * that takes no more keeps nobody from starting: the mark that is there stays, null where there is
 * none.
 * @throws LogCorruptedError what is there cannot be read
 */
export async function beginStart(components: StartMarkComponents): Promise<StartMark | null> {
  const { crypto, disk, logger } = components
  const bytes = await disk.readFile(startFile)
  const before = bytes === null ? null : decodeMark(bytes)
  const mark = nextMark(before, hex(crypto.randomBytes(nonceBytes)))
  try {
    await replaceFile(disk, startFile, encodeMark(mark))
    return mark
  } catch (error) {
    logger.warn({ error }, 'this start is not counted: an older copy of it would not be noticed')
    return before
  }
}
