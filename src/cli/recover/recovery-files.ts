/**
 * Reports and plans as files: JSON with a checksum, which is the SHA-256 of the JSON of the rest
 * without blanks, its fields in the order in which they stand.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { RecoveryPlan, SurvivorReport } from '../../consensus/index.js'
import {
  toClusterId,
  toGroupId,
  toLogIndex,
  toNodeId,
  toReplicaId,
  toStorageId,
  toTerm
} from '../../core/index.js'
import { usageError } from '../exit-codes.js'

export const reportKind = 'skein recovery report 1'
export const planKind = 'skein recovery plan 1'

const text = <T>(parse: (value: string) => T) => z.string().transform((value) => parse(value))
const number = <T>(parse: (value: number) => T) => z.number().transform((value) => parse(value))
const count = z.number().int().min(0)
const nodeId = text(toNodeId)
const replicas = z.array(text(toReplicaId))
const group = number(toGroupId)
const term = number(toTerm)
const index = number(toLogIndex)
const storageId = text(toStorageId)

const report = z.strictObject({
  nodeId,
  storageId,
  clusterName: z.string(),
  founders: replicas,
  groups: z.array(group),
  replicas: z.array(
    z.strictObject({
      group,
      term,
      lastTerm: term,
      lastIndex: index,
      committedIndex: index,
      lastWriteAt: count,
      configuration: z.strictObject({
        voters: replicas,
        votersOutgoing: replicas,
        learners: replicas,
        learnersNext: replicas
      }),
      branches: z.array(
        z.strictObject({ transaction: z.string(), coordinator: group, epoch: term })
      ),
      decided: z.array(z.string())
    })
  )
})

const plan = z.strictObject({
  clusterName: z.string(),
  clusterIdBefore: text(toClusterId),
  clusterId: text(toClusterId),
  founders: replicas,
  survivors: z.array(z.strictObject({ nodeId, storageBefore: storageId, storageId })),
  lost: z.array(nodeId),
  groups: z.array(
    z.strictObject({
      group,
      from: nodeId,
      lastTerm: term,
      lastIndex: index,
      committedIndex: index,
      lastWriteAt: count,
      term,
      votersBefore: replicas,
      voters: replicas,
      learners: replicas,
      hasQuorum: z.boolean(),
      undecided: z.array(z.string())
    })
  )
})

export const encodeReport = (value: SurvivorReport): string => encode(reportKind, value)
export const encodePlan = (value: RecoveryPlan): string => encode(planKind, value)

/** @throws CliError status 2: not there, damaged, or something else */
export async function readReport(file: string): Promise<SurvivorReport> {
  return parsed(file, report, await fieldsIn(file, reportKind))
}

/** @throws CliError status 2: not there, damaged, or something else */
export async function readPlan(file: string): Promise<RecoveryPlan> {
  return parsed(file, plan, await fieldsIn(file, planKind))
}

function encode(kind: string, value: object): string {
  const fields = { kind, ...value }
  return `${JSON.stringify({ ...fields, checksum: checksumOf(fields) }, null, 2)}\n`
}

async function fieldsIn(file: string, expected: string): Promise<object> {
  const content = await readFile(file, 'utf8').catch((cause: Error) => {
    throw usageError(cause.message)
  })
  const { kind, checksum, ...fields } = objectIn(file, content)
  if (kind !== expected) throw usageError(`${file} is no ${expected.slice(0, -2)}`)
  if (checksum === checksumOf({ kind, ...fields })) return fields
  throw usageError(`${file}: its checksum does not fit`)
}

function objectIn(file: string, content: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(content))
  } catch (cause) {
    throw usageError(`${file} is no JSON object: ${(cause as Error).message}`)
  }
}

function parsed<T>(file: string, schema: z.ZodType<T>, fields: object): T {
  const result = schema.safeParse(fields)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw usageError(`${file}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is wrong'}`)
}

const checksumOf = (fields: object): string =>
  createHash('sha256').update(JSON.stringify(fields)).digest('hex')
