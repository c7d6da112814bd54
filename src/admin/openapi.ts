/** The API document, derived from the routes: what is declared is what is served. */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import type { FastifySchema } from 'fastify'
import { z } from 'zod'
import { type Route, tags } from './route.js'
import { errorAnswer } from './routes/answers.js'

export const documentUrl = '/v1/openapi.json'

type OpenApiHead = NonNullable<FastifyDynamicSwaggerOptions['openapi']>

/** Described when it is asked for first, which on most nodes is never. */
export function documentOf(
  routes: readonly Route[],
  version: string
): FastifyDynamicSwaggerOptions {
  const known = new Map(routes.map((route) => [`${route.method} ${route.url}`, route]))
  return {
    openapi: openApiHead(version),
    transform({ url, route: { method } }) {
      const route = known.get(`${method} ${url}`)
      return { url, schema: route === undefined ? { hide: true } : schemaOf(route) }
    }
  }
}

function openApiHead(version: string): OpenApiHead {
  const head = {
    openapi: '3.1.0',
    info: {
      title: 'Skein admin API',
      version,
      description:
        'One node of a Skein cluster. Every answer that is not a success is an error with a code.'
    },
    tags: tags.map((name) => ({ name })),
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        certificate: { type: 'mutualTLS' }
      },
      schemas: { Error: jsonSchema(errorAnswer) }
    }
  }
  // The types of the package do not know `mutualTLS`, which the format has had since 3.1.
  return head as unknown as OpenApiHead
}

const credentials: readonly Record<string, string[]>[] = [{ bearer: [] }, { certificate: [] }]

/** What the document says of one route. */
function schemaOf(route: Route): FastifySchema {
  const { access, tag, about, body, answer, answerType, parameters, url } = route
  const role = access === 'open' ? 'open to everybody' : `needs the role \`${access}\``
  const success = answer === undefined ? { type: 'string' } : jsonSchema(answer)
  const type = answerType ?? 'application/json'
  const failure = {
    description: 'An error with a code.',
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } }
  }
  const fields = parameters?.shape ?? {}
  const inPath = Object.keys(fields).filter((name) => url.includes(`:${name}`))
  return {
    operationId: operationId(route),
    tags: [tag],
    summary: about,
    description: `${about} It is ${role}.`.replace('It is needs', 'It needs'),
    security: access === 'open' ? [] : credentials,
    ...(body === undefined ? {} : { body: jsonSchema(body) }),
    ...(inPath.length === 0 ? {} : { params: objectOf(fields, inPath) }),
    ...(Object.keys(fields).length === inPath.length
      ? {}
      : {
          querystring: objectOf(
            fields,
            Object.keys(fields).filter((name) => !inPath.includes(name))
          )
        }),
    response: {
      200: { description: about, content: { [type]: { schema: success } } },
      default: failure
    }
  }
}

/** `GET /v1/members/:id` is `getMembersById`, and what answers in text has its own name. */
function operationId({ method, url, answer }: Route): string {
  const words = url
    .replace(/^\/(v1\/)?/, '')
    .split(/[/_.]/)
    .map((word) => (word.startsWith(':') ? `By${capital(word.slice(1))}` : capital(word)))
  return method.toLowerCase() + words.join('') + (answer === undefined ? 'Text' : '')
}

const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1)

const objectOf = (fields: z.ZodRawShape, names: readonly string[]) =>
  jsonSchema(z.object(Object.fromEntries(names.map((name) => [name, fields[name] as z.ZodType]))))

/** As it is written on the wire; what a transformation makes of it afterwards is our own affair. */
function jsonSchema(type: z.ZodType): object {
  const { $schema: _, ...schema } = z.toJSONSchema(type, { io: 'input', unrepresentable: 'any' })
  return schema
}
