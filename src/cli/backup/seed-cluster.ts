/** Data directories of a new cluster whose groups have content from its first moment on. */
import { constants } from 'node:fs'
import { chmod, copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { planSeed, type SeededGroup, SegmentedLog, seedDirectory } from '../../consensus/index.js'
import {
  CONTROL_GROUP,
  type GroupId,
  resolveConfig,
  toGroupId,
  toNodeId
} from '../../core/index.js'
import { makeDirectory, NodeDisk, nodeCrypto } from '../../runtime/index.js'
import { makeWhole } from './whole.js'

/** A file that is part of every node's directory, at `path` below it. */
export interface SeedFile {
  readonly path: string
  readonly file: string
}

export interface SeedContent {
  readonly groups: readonly SeededGroup[]
  readonly files: readonly SeedFile[]
}

export interface SeedTarget {
  /** A directory for each node is made in it. */
  readonly directory: string
  readonly clusterName: string
  readonly nodes: readonly string[]
  /** Data groups of the cluster. */
  readonly groups: number
}

export interface SeededCluster {
  readonly clusterId: string
  readonly clusterName: string
  readonly nodes: readonly { readonly node: string; readonly directory: string }[]
}

/**
 * `prepare` makes what all nodes have in common, in the directory that it is given, which is gone
 * afterwards.
 * @throws TargetNotEmptyError, InvalidConfigError, and what `prepare` throws: nothing is left
 */
export async function seedCluster<T extends SeedContent>(
  target: SeedTarget,
  prepare: (directory: string) => Promise<T>
): Promise<SeededCluster & { readonly content: T }> {
  const segmentBytes = checkedSegmentBytes(target)
  const crypto = nodeCrypto()
  const { clusterName } = target
  const nodes = target.nodes.map(toNodeId)
  const groups = [...dataGroups(target.groups), CONTROL_GROUP]
  const { clusterId, identities } = planSeed(crypto, { clusterName, nodes, groups })
  return makeWhole(target.directory, async (staging) => {
    const work = join(staging, '.work')
    await makeDirectory(work)
    const content = await prepare(work)
    for (const identity of identities) {
      const directory = join(staging, identity.nodeId)
      await makeDirectory(directory)
      for (const { path, file } of content.files) await place(file, join(directory, path))
      const disk = new NodeDisk(directory)
      const log = new SegmentedLog({ disk }, { directory: 'log', segmentBytes })
      await seedDirectory({ disk, crypto, log }, identity, content.groups)
    }
    await rm(work, { recursive: true })
    const made = identities.map(({ nodeId }) => ({
      node: nodeId as string,
      directory: join(target.directory, nodeId)
    }))
    return { clusterId, clusterName, nodes: made, content }
  })
}

/** Where a node keeps the engine of a group. */
export const engineDirectory = (group: GroupId): string => `engine-${group}`

export const dataGroups = (count: number): GroupId[] =>
  Array.from({ length: count }, (_, group) => toGroupId(group))

/** @throws InvalidConfigError what the nodes' own configurations could not say, security aside */
function checkedSegmentBytes({ clusterName: name, nodes, groups, directory }: SeedTarget): number {
  const [id = ''] = nodes
  const cluster = { name, groups, bootstrap: { voters: [...nodes] } }
  const security = { insecure: true }
  const node = { id, dataDirectory: directory }
  const { consensus } = resolveConfig({ code: { node, cluster, security } })
  return consensus.logSegmentBytes
}

async function place(from: string, to: string): Promise<void> {
  await makeDirectory(join(to, '..'))
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  await chmod(to, 0o600)
}
