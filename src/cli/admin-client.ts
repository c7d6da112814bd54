import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { PeerCertificate } from 'node:tls'
import { type ErrorFacts, parsePeerName, uriNamesIn } from '../core/index.js'

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
  /** For an https URL: the cluster's authority, and what the caller proves itself with, in PEM. */
  readonly tls?: AdminClientTls
}

export interface AdminClientTls {
  readonly ca: string
  readonly cert?: string
  readonly key?: string
}

/** A node's admin API over kept-alive connections. */
export class AdminClient {
  readonly url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #agent: HttpAgent | HttpsAgent
  readonly #request: typeof requestHttp
  /** From when on a request may have been sent. */
  readonly #connected: 'connect' | 'secureConnect'

  constructor(options: AdminClientOptions) {
    this.url = withoutSlash(options.url)
    this.#headers = options.token === null ? {} : { authorization: `Bearer ${options.token}` }
    const kept = { keepAlive: true, maxSockets: options.socketsMax, noDelay: true }
    const isSecure = this.url.startsWith('https:')
    this.#connected = isSecure ? 'secureConnect' : 'connect'
    this.#request = isSecure ? requestHttps : requestHttp
    this.#agent = isSecure
      ? new HttpsAgent({ ...kept, ...options.tls, checkServerIdentity })
      : new HttpAgent(kept)
  }

  get(path: string, timeoutMs: number): Promise<Outcome> {
    return this.#send('GET', path, null, timeoutMs)
  }

  post(path: string, body: unknown, timeoutMs: number): Promise<Outcome> {
    return this.#send('POST', path, JSON.stringify(body), timeoutMs)
  }

  /** @param body null: none is sent */
  change(
    method: 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body: unknown,
    timeoutMs: number
  ): Promise<Outcome> {
    return this.#send(method, path, body === null ? null : JSON.stringify(body), timeoutMs)
  }

  /**
   * Server-sent events, one JSON value each, until the server ends the stream.
   *
   * @param refuse is given what became of a call that opened no stream, and throws
   */
  async *events(
    path: string,
    timeoutMs: number,
    refuse: (outcome: Outcome, url: string) => unknown
  ): AsyncIterable<Record<string, unknown>> {
    const opened = await this.#open(path, timeoutMs)
    if ('kind' in opened) {
      refuse(opened, this.url)
      return
    }
    let rest = ''
    opened.setEncoding('utf8')
    for await (const chunk of opened) {
      const parts = (rest + chunk).split('\n\n')
      rest = parts.pop() ?? ''
      for (const part of parts) {
        const [, data] = /^data: (.*)$/m.exec(part) ?? []
        if (data !== undefined) yield JSON.parse(data)
      }
    }
  }

  /** A body of bytes; null: `outcome` says what became of the call instead. */
  async bytes(
    path: string,
    timeoutMs: number
  ): Promise<{ readonly bytes: Uint8Array | null; readonly outcome: Outcome }> {
    const opened = await this.#open(path, timeoutMs)
    if ('kind' in opened) return { bytes: null, outcome: opened }
    const timer = setTimeout(() => opened.destroy(new Error('no answer in time')), timeoutMs)
    const chunks: Buffer[] = []
    try {
      for await (const chunk of opened) chunks.push(chunk as Buffer)
      return { bytes: Buffer.concat(chunks), outcome: { kind: 'answer', body: null } }
    } catch (error) {
      return { bytes: null, outcome: { kind: 'unknown', reason: reasonOf(error as Error) } }
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #open(path: string, timeoutMs: number): Promise<IncomingMessage | Outcome> {
    return new Promise((resolve) => {
      const headers = { ...this.#headers }
      const call = this.#request(`${this.url}${path}`, { agent: this.#agent, headers })
      const timer = setTimeout(() => call.destroy(new Error('no answer in time')), timeoutMs)
      call.on('error', (error) => {
        clearTimeout(timer)
        resolve({ kind: 'notSent', reason: reasonOf(error) })
      })
      call.on('response', (response) => {
        clearTimeout(timer)
        if (response.statusCode === 200) return resolve(response)
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve(outcomeOf(response.statusCode ?? 0, Buffer.concat(chunks).toString()))
        )
      })
      call.end()
    })
  }

  #send(method: string, path: string, body: string | null, timeoutMs: number): Promise<Outcome> {
    return new Promise((resolve) => {
      const content =
        body === null
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const headers = { ...this.#headers, ...content }
      const call = this.#request(`${this.url}${path}`, { method, agent: this.#agent, headers })
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
        else socket.once(this.#connected, () => (wasConnected = true))
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

const withoutSlash = (url: string): string => (url.endsWith('/') ? url.slice(0, -1) : url)

/** Nodes prove their id, not the name they are reached by. */
function checkServerIdentity(_host: string, { subjectaltname }: PeerCertificate) {
  const [uri = '', ...others] = uriNamesIn(subjectaltname ?? '')
  return others.length === 0 && parsePeerName(uri)?.kind === 'node'
    ? undefined
    : new Error('whoever answers shows no certificate of a node')
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
