/**
 * The demo's directory: `demo.json` says what it was made for, `certs` holds the authority with its
 * certificates, gossip key and token, and each node has a directory of its own.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import {
  type DiskLock,
  type PeerIdentity,
  SkeinError,
  toNodeId,
  type WallMs
} from '../../core/index.js'
import {
  type AuthorityFiles,
  authorityFiles,
  createAuthority,
  issuePeer,
  peerFiles
} from '../../network/index.js'
import { makeDirectory, NodeDisk } from '../../runtime/index.js'
import { usageError } from '../exit-codes.js'
import type { ClientAccess } from './cluster-client.js'
import type { DemoOptions } from './options.js'
import type { NodePorts } from './ports.js'
import { quoted } from './quoted.js'

export const clusterName = 'demo'
const clientName = 'load'
const certificateDays = 365

export interface Workspace {
  readonly directory: string
  readonly authority: AuthorityFiles
  readonly token: string
  /** A client's certificate of the cluster's own authority. */
  readonly clientAccess: ClientAccess
  /** What a shell sources to talk to the cluster; `writeEnvironment` makes it. */
  readonly environmentFile: string
  readonly nodeIds: readonly string[]
  /** With data. */
  readonly groups: number
  /** Leaders are lost only on purpose, and the machine is as busy as it can be. */
  readonly isRolling: boolean
  /** Lets go of the directory, and removes it when it was made for this run alone. */
  release(): Promise<void>
}

type WorkspaceOptions = Pick<DemoOptions, 'nodes' | 'scale' | 'dataDirectory'> &
  Partial<Pick<DemoOptions, 'rollingRestart' | 'groups'>>

interface Marker {
  readonly nodes: number
  readonly groups: number
  readonly scale: number
}

/** @throws CliError exit status 2: unusable, in use, or made for something else */
export async function openWorkspace(options: WorkspaceOptions): Promise<Workspace> {
  const isTemporary = options.dataDirectory === null
  const directory = resolve(options.dataDirectory ?? (await mkdtemp(join(tmpdir(), 'skein-demo-'))))
  let lock: DiskLock | null = null
  const release = async () => {
    await lock?.release()
    if (isTemporary) await rm(directory, { recursive: true, force: true })
  }
  try {
    await makeDirectory(directory)
    const names = await readdir(directory)
    lock = await new NodeDisk(directory).lock('lock')
    const nodeIds = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}`)
    const isNew = await checkMarker(directory, names, options)
    const certificates = join(directory, 'certs')
    if (isNew) await makeCertificates(certificates, nodeIds)
    // Written last: a directory without it holds nothing of worth.
    if (isNew) await writeFile(join(directory, 'demo.json'), JSON.stringify(markerOf(options)))
    const authority = authorityFiles(certificates)
    const clientAccess = await accessOf(certificates, authority)
    const token = (await readFile(authority.tokenFile, 'utf8')).trim()
    const environmentFile = join(directory, 'env')
    const isRolling = options.rollingRestart ?? false
    const access = { authority, token, clientAccess, environmentFile }
    const { groups } = markerOf(options)
    return { directory, ...access, nodeIds, groups, isRolling, release }
  } catch (error) {
    await release()
    if (!(error instanceof SkeinError) && !isSystemError(error)) throw error
    throw usageError(`the data directory ${directory} cannot be used: ${error.message}`)
  }
}

/** Writes a node's configuration. @returns the file */
export async function writeNodeConfig(
  workspace: Workspace,
  id: string,
  ports: ReadonlyMap<string, NodePorts>
): Promise<string> {
  const own = ports.get(id)
  const { certificateFile, keyFile } = peerFiles(join(workspace.directory, 'certs'), peerOf(id))
  const { caFile, gossipKeyFile, tokenFile } = workspace.authority
  const seeds = workspace.nodeIds.filter((other) => other !== id)
  const config = {
    preset: 'local',
    node: {
      id,
      listenAddress: `127.0.0.1:${own?.cluster}`,
      dataDirectory: join(workspace.directory, id)
    },
    cluster: {
      name: clusterName,
      seeds: seeds.map((other) => `127.0.0.1:${ports.get(other)?.cluster}`),
      bootstrap: { voters: workspace.nodeIds },
      groups: workspace.groups
    },
    security: { certificateFile, keyFile, caFile, gossipKeyFile },
    consensus: consensusFor(workspace),
    ...(workspace.groups > 1 ? { engine: { isolation: 'thread', readers: 1 } } : {}),
    admin: { listenAddress: `127.0.0.1:${own?.admin}`, tokenFile }
  }
  await makeDirectory(config.node.dataDirectory)
  const file = join(workspace.directory, `${id}.json`)
  await writeFile(file, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 })
  return file
}

/** All nodes, their clients and the load share one machine: slower than `local` alone would be. */
const consensusFor = ({ isRolling }: Workspace) =>
  isRolling
    ? { heartbeatIntervalMs: 100, electionTimeoutMinMs: 1_500, electionTimeoutMaxMs: 3_000 }
    : { heartbeatIntervalMs: 60, electionTimeoutMinMs: 300, electionTimeoutMaxMs: 600 }

/** Variables that `skein` reads, and `skein` itself, for a POSIX shell. */
export async function writeEnvironment(
  { environmentFile, authority, clientAccess }: Workspace,
  adminUrl: string,
  mainFile: string
): Promise<void> {
  const variables: Readonly<Record<string, string>> = {
    SKEIN_ADMIN_URL: adminUrl,
    SKEIN_TOKEN_FILE: authority.tokenFile,
    SKEIN_CA_FILE: authority.caFile,
    SKEIN_CERT_FILE: clientAccess.certificateFile,
    SKEIN_KEY_FILE: clientAccess.keyFile
  }
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${quoted(value)}`)
  const command = `${quoted(process.execPath)} ${quoted(mainFile)}`
  const text = [...lines, `skein() { ${command} "$@"; }`, ''].join('\n')
  await writeFile(environmentFile, text, { mode: 0o600 })
}

async function makeCertificates(directory: string, nodeIds: readonly string[]): Promise<void> {
  const validity = { now: Date.now() as WallMs, days: certificateDays }
  await rm(directory, { recursive: true, force: true })
  await createAuthority(directory, clusterName, validity)
  for (const id of nodeIds) await issuePeer(directory, { peer: peerOf(id) }, validity)
}

/** Issues the load's certificate where an earlier run has left none. */
async function accessOf(directory: string, authority: AuthorityFiles): Promise<ClientAccess> {
  const peer: PeerIdentity = { kind: 'client', name: clientName, clusterName }
  const names = await readdir(directory)
  const isThere = names.includes(basename(peerFiles(directory, peer).certificateFile))
  const validity = { now: Date.now() as WallMs, days: certificateDays }
  if (!isThere) await issuePeer(directory, { peer }, validity)
  const { certificateFile, keyFile } = peerFiles(directory, peer)
  return { clusterName, certificateFile, keyFile, caFile: authority.caFile }
}

/** True: nothing is there yet. */
async function checkMarker(
  directory: string,
  names: readonly string[],
  options: WorkspaceOptions
): Promise<boolean> {
  if (names.includes('demo.json')) {
    const found: unknown = JSON.parse(await readFile(join(directory, 'demo.json'), 'utf8'))
    const wanted = markerOf(options)
    if (JSON.stringify(found) === JSON.stringify(wanted)) return false
    throw usageError(
      `${directory} was made for ${JSON.stringify(found)}, asked for ${JSON.stringify(wanted)}; ` +
        'use another --data or the same options'
    )
  }
  const foreign = names.filter((name) => !['lock', 'certs'].includes(name))
  if (foreign.length === 0) return true
  throw usageError(`${directory} holds other files (${foreign[0]}, …); name an empty directory`)
}

const markerOf = ({ nodes, groups = 1, scale }: WorkspaceOptions): Marker => ({
  nodes,
  groups,
  scale
})

const peerOf = (id: string): PeerIdentity => ({ kind: 'node', nodeId: toNodeId(id), clusterName })

const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error
