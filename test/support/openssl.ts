import { execFile, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Whether the machine has the tool; what needs it is skipped, and says so. */
export const hasOpenssl = spawnSync('openssl', ['version']).status === 0

export interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** @param input what it reads from standard input, after which that ends */
export function openssl(args: readonly string[], input: string | Buffer = ''): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { maxBuffer: 16 * 1024 * 1024, timeout: 20_000 }
    const child = execFile('openssl', args, options, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), stdout, stderr })
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

/** @throws Error with what the tool said */
export async function opensslOk(args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await openssl(args)
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`)
  return stdout
}

export interface LeafWish {
  readonly name: string
  /** Lines of the extension section. */
  readonly extensions: readonly string[]
  readonly newKey?: readonly string[]
  readonly digest?: string
  readonly days?: number
}

/** Certificates that our own tool would never make, signed by whichever authority. */
export class OpensslAuthority {
  readonly directory: string
  readonly certificateFile: string
  readonly keyFile: string

  constructor(directory: string, certificateFile: string, keyFile: string) {
    this.directory = directory
    this.certificateFile = certificateFile
    this.keyFile = keyFile
  }

  async issue(
    wish: LeafWish
  ): Promise<{ readonly certificateFile: string; readonly keyFile: string }> {
    const at = (suffix: string) => join(this.directory, `${wish.name}.${suffix}`)
    const newKey = wish.newKey ?? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
    await opensslOk([
      ...['req', '-new', '-nodes', '-newkey', ...newKey, '-subj', `/CN=${wish.name}`],
      ...['-keyout', at('key'), '-out', at('csr')]
    ])
    await writeFile(at('ext'), `${wish.extensions.join('\n')}\n`)
    await opensslOk([
      ...['x509', '-req', '-in', at('csr'), '-CA', this.certificateFile, '-CAkey', this.keyFile],
      ...['-CAcreateserial', '-out', at('crt'), '-days', String(wish.days ?? 2)],
      ...[`-${wish.digest ?? 'sha256'}`, '-extfile', at('ext')]
    ])
    return { certificateFile: at('crt'), keyFile: at('key') }
  }
}
