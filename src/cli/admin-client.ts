import { Agent, request } from 'node:http'
import type { ErrorFacts } from '../core/index.js'

/**
 * What became of a call:
 * - `answer`: the node did it
 * - `refused`: the node answered with an error of the house
 * - `notSent`: the node was not reached, so nothing was done
 * - `unknown`: the connection broke or fell silent after the request was sent
 */
export type Outcome =
  | { readonly kind: 'answer'; readonly body: unknown }
  | { readonly kind: 'refused'; readonly status: number; readonly error: ErrorFacts }
  | { readonly kind: 'notSent'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string }

export interface AdminClientOptions {
  readonly url: string
  readonly token: string | null
  /** Connections kept to the node. */
  readonly socketsMax: number
}

/** A node's admin API over kept-alive connections. */
export class AdminClient {
  readonly url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #agent: Agent

  constructor(options: AdminClientOptions) {
    this.url = options.url.replace(/\/+$/, '')
    this.#headers = options.token === null ? {} : { authorization: `Bearer ${options.token}` }
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.socketsMax, noDelay: true })
  }

  get(path: string, timeoutMs: number): Promise<Outcome> {
    return this.#send('GET', path, null, timeoutMs)
  }

  post(path: string, body: unknown, timeoutMs: number): Promise<Outcome> {
    return this.#send('POST', path, JSON.stringify(body), timeoutMs)
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(method: string, path: string, body: string | null, timeoutMs: number): Promise<Outcome> {
    return new Promise((resolve) => {
      const content =
        body === null
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const headers = { ...this.#headers, ...content }
      const call = request(`${this.url}${path}`, { method, agent: this.#agent, headers })
      const timer = setTimeout(() => call.destroy(new Error('no answer in time')), timeoutMs)
      let wasConnected = false
      const settle = (outcome: Outcome) => {
        clearTimeout(timer)
        resolve(outcome)
      }
      const fail = (error: Error) => {
        settle({ kind: wasConnected ? 'unknown' : 'notSent', reason: reasonOf(error) })
      }
      call.on('socket', (socket) => {
        if (!socket.connecting) wasConnected = true
        else socket.once('connect', () => (wasConnected = true))
      })
      call.on('error', fail)
      call.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', fail)
        response.on('end', () =>
          settle(outcomeOf(response.statusCode ?? 0, Buffer.concat(chunks).toString()))
        )
      })
      call.end(body ?? undefined)
    })
  }
}

function outcomeOf(status: number, text: string): Outcome {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return { kind: 'unknown', reason: `status ${status} without JSON` }
  }
  if (status >= 200 && status < 300) return { kind: 'answer', body }
  if (isErrorFacts(body)) return { kind: 'refused', status, error: body }
  return { kind: 'unknown', reason: `status ${status}` }
}

const isErrorFacts = (body: unknown): body is ErrorFacts =>
  typeof body === 'object' &&
  body !== null &&
  'code' in body &&
  typeof body.code === 'string' &&
  'message' in body

const reasonOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message
