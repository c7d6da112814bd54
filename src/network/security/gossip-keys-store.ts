import { readFile, stat } from 'node:fs/promises'
import { CertificateError } from '../../core/index.js'
import { gossipKeysMax } from './datagram-keyring.js'

const KEY = /^[0-9a-f]{64}$/i

/**
 * 32-byte keys as 64 hex digits a line, newest first: the first seals, all open.
 *
 * @throws CertificateError missing, open to others, empty, or a line that is no key
 */
export async function readGossipKeys(file: string): Promise<readonly Uint8Array[]> {
  const lines = (await readSecret(file)).split('\n').map((line) => line.trim())
  const keys = lines.filter((line) => line !== '')
  if (keys.length === 0 || keys.length > gossipKeysMax) {
    throw new CertificateError(`${file}: has ${keys.length} keys, wanted 1 to ${gossipKeysMax}`)
  }
  const wrong = lines.findIndex((line) => line !== '' && !KEY.test(line))
  if (wrong >= 0) throw new CertificateError(`${file}: line ${wrong + 1} is not 64 hex digits`)
  return keys.map((key) => Uint8Array.from(Buffer.from(key, 'hex')))
}

async function readSecret(file: string): Promise<string> {
  try {
    const { mode } = await stat(file)
    if (process.platform === 'win32' || (mode & 0o077) === 0) return await readFile(file, 'utf8')
  } catch (cause) {
    throw new CertificateError(`${file}: ${(cause as Error).message}`, { cause })
  }
  throw new CertificateError(`${file}: others may read it; run chmod 600 on it`)
}
