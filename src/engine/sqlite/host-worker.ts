/** The entry of a writer's or reader's own thread or process. */
import { parentPort, Worker, workerData } from 'node:worker_threads'
import type { EngineCall, EngineReply } from './channel.js'
import { EngineHost, type HostOptions } from './host-store.js'

const handler = (options: HostOptions) => {
  const host = new EngineHost(options)
  return (calls: readonly EngineCall[]): EngineReply[] => calls.map((call) => host.execute(call))
}

if (parentPort !== null) {
  const port = parentPort
  const execute = handler(workerData as HostOptions)
  port.on('message', (calls: readonly EngineCall[]) => port.postMessage(execute(calls)))
} else {
  const execute = handler(JSON.parse(process.argv[2] ?? '') as HostOptions)
  // A parent that ends closes the channel, and nothing else keeps this process alive.
  process.on('message', (calls) => process.send?.(execute(calls as EngineCall[])))
  const guard = new Worker(new URL('./orphan-guard-worker.js', import.meta.url), {
    workerData: process.ppid
  })
  guard.unref()
  // Signals are for the parent, which closes the database first.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})
}
