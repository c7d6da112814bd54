/** The entry of a writer's or reader's own thread or process. */
import { parentPort, Worker, workerData } from 'node:worker_threads'
import type { EngineCall, EngineReply } from './channel.js'
import { executorOf, type HostOptions } from './host-store.js'

/** Replies to each batch of calls when it is done. */
function answering(options: HostOptions, post: (replies: readonly EngineReply[]) => void) {
  const execute = executorOf(options)
  return (calls: readonly EngineCall[]) => {
    const replies = execute(calls)
    if (replies instanceof Promise) replies.then(post)
    else post(replies)
  }
}

if (parentPort !== null) {
  const port = parentPort
  const answer = answering(workerData as HostOptions, (replies) => port.postMessage(replies))
  port.on('message', answer)
} else {
  const options = JSON.parse(process.argv[2] ?? '') as HostOptions
  const answer = answering(options, (replies) => process.send?.(replies))
  // A parent that ends closes the channel, and nothing else keeps this process alive.
  process.on('message', (calls) => answer(calls as EngineCall[]))
  const guard = new Worker(new URL('./orphan-guard-worker.js', import.meta.url), {
    workerData: process.ppid
  })
  guard.unref()
  // Signals are for the parent, which closes the database first.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})
}
