/** What a node says of itself, checked before it is said. */
import { InvalidArgumentError } from '../../core/errors.js'
import { memberMetadataBytesMax, memberTagBytesMax, memberTagsMax } from '../../core/limits.js'
import type { NodeCapacity } from '../../core/member.js'
import { factsOf } from '../../core/remote-error.js'
import { type Statement, statementBytes, statementBytesMax } from './messages.js'

/** What is absent stays as it is. */
export interface SelfDescription {
  readonly capacity?: Partial<NodeCapacity>
  readonly tags?: readonly string[]
}

const tagPattern = /^[a-z0-9][a-z0-9._-]*$/
const greatest: Readonly<Record<keyof NodeCapacity, number>> = {
  cpus: 65_536,
  memoryBytes: Number.MAX_SAFE_INTEGER,
  connections: 4_294_967_295,
  weight: 1_000_000
}

/** @throws InvalidArgumentError naming the field */
export function checkedDescription(
  statement: Statement,
  change: SelfDescription
): Pick<Statement, 'capacity' | 'tags'> {
  const capacity = { ...statement.capacity, ...change.capacity }
  const tags = [...new Set(change.tags ?? statement.tags)].sort()
  for (const [field, max] of Object.entries(greatest)) {
    const value = capacity[field as keyof NodeCapacity]
    const isWhole = field === 'cpus' ? Number.isFinite(value) : Number.isSafeInteger(value)
    if (isWhole && value >= 0 && value <= max) continue
    throw new InvalidArgumentError(`capacity.${field}`, `a number from 0 to ${max}`)
  }
  if (tags.length > memberTagsMax) {
    throw new InvalidArgumentError('tags', `${memberTagsMax} at most`)
  }
  for (const tag of tags) {
    if (tag.length <= memberTagBytesMax && tagPattern.test(tag)) continue
    throw new InvalidArgumentError('tags', `${JSON.stringify(tag)} must match ${tagPattern}`)
  }
  assertStatementFits({ ...statement, capacity, tags })
  return { capacity, tags }
}

/** @throws InvalidArgumentError */
export function assertStatementFits(statement: Statement): void {
  const reason = `${memberMetadataBytesMax} bytes, ${statementBytesMax} with all names, at most`
  let bytes: number
  try {
    bytes = statementBytes(statement)
  } catch (cause) {
    throw new InvalidArgumentError('metadata', `${reason}: ${factsOf(cause).message}`)
  }
  if (bytes > statementBytesMax) {
    throw new InvalidArgumentError('metadata', `${reason}: ${bytes} bytes`)
  }
}
