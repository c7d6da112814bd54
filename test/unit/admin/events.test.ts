import t, { type Test } from 'tap'
import { createAdminServer } from '../../../lib/admin.js'
import { type NodeId, silentLogger } from '../../../src/core/index.js'
import { FakeManager } from './fake-manager.js'

async function serve(t: Test, eventSubscribersMax: number) {
  const manager = new FakeManager()
  const server = createAdminServer(manager, {
    listenAddress: '127.0.0.1:0',
    tokens: [],
    logger: silentLogger,
    eventSubscribersMax
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  return { manager, server, url: `http://${address}/v1/events` }
}

interface Stream {
  readonly response: Response
  /** Reads on until the text so far fits. */
  until(pattern: RegExp): Promise<string>
  cancel(): Promise<void>
}

async function open(url: string): Promise<Stream> {
  const response = await fetch(url)
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  if (reader === undefined) throw new Error('no body')
  let text = ''
  return {
    response,
    async until(pattern) {
      while (!pattern.test(text)) {
        const { done, value } = await reader.read()
        if (done) throw new Error(`it ended with ${text}`)
        text += value
      }
      return text
    },
    cancel: () => reader.cancel()
  }
}

const started = (nodeId: string) => ({ type: 'NodeStarted', nodeId: nodeId as NodeId }) as const

t.test('events arrive as they happen, numbered and named', async (t) => {
  const { manager, url } = await serve(t, 1)
  const stream = await open(url)
  t.match(stream.response.headers.get('content-type'), /^text\/event-stream/)
  manager.emit(started('a'))
  manager.emit(started('b'))
  const text = await stream.until(/"b"[^\n]*\n\n/)
  t.match(text, /id: 1\nevent: NodeStarted\ndata: \{.*"nodeId":"a".*\}\n\nid: 2\n/)
  await stream.cancel()
})

t.test('streams are bounded, and a closed one makes room', async (t) => {
  const { manager, url } = await serve(t, 1)
  const stream = await open(url)
  const refused = await fetch(url)
  t.equal(refused.status, 429)
  t.match(await refused.json(), { code: 'ERR_SKEIN_BACKPRESSURE', retryable: true })
  await stream.cancel()
  while (manager.hub.subscriberCount > 0) await new Promise((resolve) => setImmediate(resolve))
  const next = await open(url)
  t.equal(next.response.status, 200)
  await next.cancel()
})

t.test('a subscriber that missed events is told how many', async (t) => {
  const { manager, url } = await serve(t, 1)
  const stream = await open(url)
  await stream.until(/events of this node/)
  for (let i = 0; i < 10; i++) manager.emit(started(`n${i}`))
  const text = await stream.until(/"n9"[^\n]*\n\n/)
  t.match(text, /event: Dropped\ndata: \{"type":"Dropped","missed":\d+,"dropped":\d+\}/)
  await stream.cancel()
})

t.test('stopping the server ends the streams', async (t) => {
  const { server, url } = await serve(t, 1)
  const stream = await open(url)
  await stream.until(/events of this node/)
  const ended = t.rejects(stream.until(/never/), /it ended/)
  await server.stop()
  await ended
})
