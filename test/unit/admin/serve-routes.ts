import type { Test } from 'tap'
import { createAdminServer } from '../../../lib/admin.js'
import { silentLogger } from '../../../src/core/index.js'
import { skein } from '../../support/run-skein.js'
import { FakeManager } from './fake-manager.js'

/** The admin API over a manager that answers from memory, asked over HTTP and by the command. */
export async function serveRoutes(t: Test) {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: [],
    logger: silentLogger,
    eventSubscribersMax: 1
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const url = `http://${address}`
  const ask = async (method: string, path: string, body?: unknown) => {
    const headers: Record<string, string> = {}
    if (body !== undefined) headers['content-type'] = 'application/json'
    const init = { method, headers, body: body === undefined ? null : JSON.stringify(body) }
    const response = await fetch(`${url}${path}`, init)
    return { status: response.status, json: JSON.parse(await response.text()) }
  }
  return { manager, ask, run: (...args: string[]) => skein(...args, '--admin', url) }
}
