/** What may be posted, checked field by field; all faults of a body are reported at once. */
import { z } from 'zod'
import {
  type ClientId,
  Consistencies,
  InvalidArgumentError,
  type LogIndex,
  type NodeId,
  Priorities,
  type Priority,
  type QueryOptions,
  type RouteOptions,
  type Serial,
  type SqlValue,
  type Statement,
  sqlValueFromJson
} from '../../core/index.js'

/** Faults that one answer names; the others wait for these to be put right. */
export const faultsMax = 32
/** Of one fault: names that a caller chose stand in some of them. */
const faultTextLengthMax = 256

type Params = NonNullable<Statement['params']>
type Issues = z.RefinementCtx

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What is said once a list of faults is full of them is never read. */
const isFull = ({ issues }: Issues): boolean => issues.length >= faultsMax

/** By hand, because a schema costs ten times as much for each of thousands of values. */
function paramsFrom(given: unknown, at: readonly PropertyKey[], context: Issues): Params {
  const fault = (path: readonly PropertyKey[], message: string) =>
    context.addIssue({ code: 'custom', path: [...path], message })
  if (!Array.isArray(given) && !isObject(given)) {
    fault(at, 'must be a list or an object')
    return []
  }
  const convert = (value: unknown, key: PropertyKey): SqlValue => {
    const converted = sqlValueFromJson(value)
    if (converted !== undefined) return converted
    const message = 'is no SQL value (null, number, text, {"$int": "…"}, {"$blob": "base64"})'
    if (!isFull(context)) fault([...at, key], message)
    return null
  }
  if (Array.isArray(given)) return given.map(convert)
  return Object.fromEntries(Object.entries(given).map(([key, one]) => [key, convert(one, key)]))
}

function statementFrom(given: unknown, at: number, context: Issues): Statement {
  const fault = (path: readonly PropertyKey[], message: string) =>
    context.addIssue({ code: 'custom', path: [at, ...path], message })
  if (!isObject(given)) {
    fault([], 'must be an object')
    return { sql: '' }
  }
  const { sql, params, ...others } = given
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) fault([], `has an unknown key: "${unknown}"`)
  if (typeof sql !== 'string') fault(['sql'], 'must be text')
  else if (sql === '') fault(['sql'], 'must not be empty')
  const text = String(sql)
  if (params === undefined) return { sql: text }
  return { sql: text, params: paramsFrom(params, [at, 'params'], context) }
}

function statementsFrom(given: readonly unknown[], context: Issues): readonly Statement[] {
  const statements: Statement[] = []
  for (const one of given) {
    if (isFull(context)) break
    statements.push(statementFrom(one, statements.length, context))
  }
  return statements
}

const paramsSchema = {
  anyOf: [
    { type: 'array', items: {} },
    { type: 'object', additionalProperties: {} }
  ]
}
const statementSchema = {
  type: 'object',
  properties: { sql: { type: 'string', minLength: 1 }, params: paramsSchema },
  required: ['sql'],
  additionalProperties: false
}

const params = z
  .unknown()
  .meta(paramsSchema)
  .transform((given, context) => (given === undefined ? undefined : paramsFrom(given, [], context)))
  .optional()

const statements = z
  .custom<readonly unknown[]>(Array.isArray, 'must be a list')
  .refine(({ length }) => length > 0, 'must not be empty')
  .meta({ type: 'array', minItems: 1, items: statementSchema })
  .transform(statementsFrom)
  .optional()

const sql = z.string().min(1, 'must not be empty')
const consistency = z.enum(Consistencies).optional()
const priorities = {
  critical: Priorities.Critical,
  high: Priorities.High,
  normal: Priorities.Normal,
  low: Priorities.Low
} as const
const priority = z
  .enum(['critical', 'high', 'normal', 'low'])
  .transform((word): Priority => priorities[word])
  .optional()
const timeoutMs = z.number().int().min(1).max(3_600_000).optional()
const clientId = z
  .string()
  .regex(/^[\x21-\x7e]{1,64}$/, 'must be 1 to 64 printable ASCII characters')
  .transform((text) => text as ClientId)
const serial = z
  .number()
  .int()
  .min(1)
  .transform((value) => value as Serial)

const client = z
  .strictObject({ clientId, serial, answeredBelow: serial })
  .refine((tag) => tag.answeredBelow <= tag.serial, {
    path: ['answeredBelow'],
    message: 'must not be above serial'
  })

/** A key or a session. */
const routeText = z.string().min(1, 'must not be empty').max(128).optional()

const shardKey = z
  .unknown()
  .meta({ description: 'Of the rows of sharded tables, where the text does not tell.' })
  .transform((given, context): SqlValue | undefined => {
    if (given === undefined) return undefined
    const value = sqlValueFromJson(given)
    if (value !== undefined && value !== null) return value
    context.addIssue('must be a number, text, {"$int"} or {"$blob"}')
    return z.NEVER
  })
  .optional()

export const nodeId = z
  .string()
  .regex(/^[a-z0-9-]{1,63}$/, 'must match [a-z0-9-]{1,63}')
  .transform((text) => text as NodeId)

export const routeBody = z.strictObject({
  sql,
  params,
  consistency,
  priority,
  key: routeText,
  session: routeText,
  shardKey
})

export const queryBody = z
  .strictObject({
    sql: sql.optional(),
    params,
    statements,
    consistency,
    priority,
    key: routeText,
    session: routeText,
    shardKey,
    timeoutMs,
    maxStalenessMs: z
      .number()
      .int()
      .min(1)
      .max(3_600_000)
      .meta({ description: 'Of a local read: what is older is refused.' })
      .optional(),
    atLeastIndex: z
      .number()
      .int()
      .min(0)
      .transform((value) => value as LogIndex)
      .optional(),
    client: client.optional()
  })
  .superRefine((body, context) => {
    const fault = (field: string, message: string) =>
      context.addIssue({ code: 'custom', path: [field], message })
    if (body.sql === undefined && body.statements === undefined) {
      fault('sql', 'is required, unless there are statements')
    }
    if (body.statements === undefined) return
    if (body.sql !== undefined) fault('sql', 'and statements exclude each other')
    if (body.params !== undefined) fault('params', 'belong to each of the statements')
  })

export const clientBody = z.strictObject({ clientId, timeoutMs })

export interface ParsedQuery {
  readonly query: string | readonly Statement[]
  readonly options: QueryOptions
}

/** @throws InvalidArgumentError with every fault */
export function parseQuery(json: unknown): ParsedQuery {
  const { sql, statements, ...options } = parse(queryBody, json)
  const query = sql ?? statements ?? []
  return { query, options: defined(options) }
}

/** @throws InvalidArgumentError with every fault */
export function parseRoute(json: unknown): { sql: string; options: RouteOptions } {
  const { sql, ...options } = parse(routeBody, json)
  return { sql, options: defined(options) }
}

/** @throws InvalidArgumentError with every fault */
export function parseClient(json: unknown): {
  clientId: ClientId
  options: Pick<QueryOptions, 'timeoutMs'>
} {
  const { clientId, ...options } = parse(clientBody, json)
  return { clientId, options: defined(options) }
}

/** In a path or behind a question mark. */
export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,16}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be from ${min} to ${max}`)

export function parse<T>(schema: z.ZodType<T>, json: unknown): T {
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.slice(0, faultsMax).map((issue) => ({
    field: fieldOf(issue.path),
    message: issue.message.slice(0, faultTextLengthMax)
  }))
  const first = faults[0] ?? { field: 'body', message: 'is wrong' }
  const lines = faults.map(({ field, message }) => `${field}: ${message}`)
  throw new InvalidArgumentError(first.field, first.message, lines)
}

/** `statements[0].params[2]` */
function fieldOf(path: readonly PropertyKey[]): string {
  let field = ''
  for (const key of path) {
    if (typeof key === 'number') field += `[${key}]`
    else field += field === '' ? String(key) : `.${String(key)}`
  }
  return field === '' ? 'body' : field
}

type Defined<T> = { [Key in keyof T]: Exclude<T[Key], undefined> }

/** Without the keys whose value is undefined. */
const defined = <T extends object>(value: T): Defined<T> =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Defined<T>
