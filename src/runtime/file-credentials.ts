import { readFile, stat } from 'node:fs/promises'
import {
  CertificateError,
  type Clock,
  type Credentials,
  hasCode,
  type NodeId,
  type OwnCertificates,
  type PeerCertificate,
  type PeerIdentity,
  type PeerJudge,
  type RevocationFile,
  type RevocationList
} from '../core/index.js'
import {
  readRevocationList,
  readRevocationText,
  revocationListBytesMax
} from './revocation-list.js'
import { readTlsMaterial, type TlsFiles, type TlsMaterial } from './tls-material.js'

/** PEM is a third longer than what it holds. */
const revocationFileBytesMax = 4 * revocationListBytesMax

export interface CredentialFiles extends TlsFiles {
  readonly revocationFile?: string | undefined
}

/** A node's certificates and the operator's revocations, from files that may be replaced. */
export class FileCredentials implements Credentials {
  readonly #clock: Clock
  readonly #files: CredentialFiles
  readonly #self: { readonly nodeId: NodeId; readonly clusterName: string }
  readonly #handlers: ((material: TlsMaterial) => void)[] = []
  #material: TlsMaterial
  #materialMark: string
  #revocationMark = ''
  #judge: PeerJudge = () => null

  /** @throws CertificateError a file is missing, broken, or of another node */
  static async open(
    components: { readonly clock: Clock },
    files: CredentialFiles,
    self: { readonly nodeId: NodeId; readonly clusterName: string }
  ): Promise<FileCredentials> {
    const mark = await markOf(materialFiles(files))
    const material = await readOwn(files, self, components.clock)
    return new FileCredentials(components.clock, files, self, material, mark)
  }

  private constructor(
    clock: Clock,
    files: CredentialFiles,
    self: { readonly nodeId: NodeId; readonly clusterName: string },
    material: TlsMaterial,
    mark: string
  ) {
    this.#clock = clock
    this.#files = files
    this.#self = self
    this.#material = material
    this.#materialMark = mark
  }

  get material(): TlsMaterial {
    return this.#material
  }

  get current(): OwnCertificates {
    return { own: this.#material.facts, authorities: this.#material.authorities }
  }

  /** Told of what is in use from now on. */
  onChange(handler: (material: TlsMaterial) => void): void {
    this.#handlers.push(handler)
  }

  async reload(force: boolean): Promise<boolean> {
    const mark = await markOf(materialFiles(this.#files))
    if (!force && mark === this.#materialMark) return false
    const material = await readOwn(this.#files, this.#self, this.#clock)
    this.#materialMark = mark
    if (isSame(material, this.#material)) return false
    for (const handler of this.#handlers) handler(material)
    this.#material = material
    return true
  }

  async readRevocations(force: boolean): Promise<RevocationFile | null> {
    const file = this.#files.revocationFile
    if (file === undefined) return null
    const mark = await markOf([file])
    if (!force && mark === this.#revocationMark) return null
    const text = await readText(file)
    const { lists, denied } = readRevocationText(text, file)
    const read = { lists: lists.map((list) => this.verifyRevocationList(list)), denied }
    this.#revocationMark = mark
    return read
  }

  verifyRevocationList(bytes: Uint8Array): RevocationList {
    return readRevocationList(bytes, this.#material.roots)
  }

  setJudge(judge: PeerJudge): void {
    this.#judge = judge
  }

  readonly judge = (peer: PeerIdentity, certificate: PeerCertificate): string | null =>
    this.#judge(peer, certificate)
}

const materialFiles = (files: TlsFiles): string[] => [
  files.certificateFile,
  files.keyFile,
  files.caFile
]

async function readOwn(
  files: TlsFiles,
  { nodeId, clusterName }: { readonly nodeId: NodeId; readonly clusterName: string },
  clock: Clock
): Promise<TlsMaterial> {
  const material = await readTlsMaterial(files, clock.wallNow())
  const { peer } = material
  if (peer.kind === 'node' && peer.nodeId === nodeId && peer.clusterName === clusterName) {
    return material
  }
  throw new CertificateError(
    `${files.certificateFile}: is not that of node ${nodeId} of cluster ${clusterName}`
  )
}

const isSame = (a: TlsMaterial, b: TlsMaterial): boolean =>
  a.certificate === b.certificate && a.key === b.key && a.authority === b.authority

/** Changes when one of the files is replaced or written; a missing file has a mark too. */
async function markOf(files: readonly string[]): Promise<string> {
  const marks = files.map(async (file) => {
    try {
      const { ino, size, mtimeMs, ctimeMs } = await stat(file)
      return `${ino} ${size} ${mtimeMs} ${ctimeMs}`
    } catch (error) {
      return `${(error as NodeJS.ErrnoException).code}`
    }
  })
  return (await Promise.all(marks)).join('|')
}

/** A file that is not there yet says nothing. */
async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size > revocationFileBytesMax) throw new CertificateError(`${file}: is too long`)
    return await readFile(file, 'utf8')
  } catch (cause) {
    if (hasCode(cause, 'ERR_SKEIN_CERTIFICATE')) throw cause
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new CertificateError(`${file}: ${(cause as Error).message}`, { cause })
  }
}
