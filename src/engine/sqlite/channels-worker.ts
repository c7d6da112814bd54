import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { unreachable } from '../../core/assert.js'
import type {
  ChannelHandlers,
  ChannelOpener,
  EngineCall,
  EngineChannel,
  EngineReply
} from './channel.js'
import { executorOf, type HostOptions } from './host-store.js'
import { Isolations, type SqliteEngineSettings } from './options.js'

const entry = new URL('./host-worker.js', import.meta.url)
/** A thread that is not in a statement ends at once. */
const threadEndMs = 200

/** Opens writers and readers where the settings want them. */
export function channelOpener(directory: string, settings: SqliteEngineSettings): ChannelOpener {
  return (kind, handlers) => {
    const options: HostOptions = { kind, directory, settings }
    switch (settings.isolation) {
      case Isolations.Thread:
        return threadChannel(options, handlers)
      case Isolations.Process:
        return processChannel(options, handlers)
      case Isolations.Inline:
        return inlineChannel(options, handlers)
      default:
        return unreachable(settings.isolation)
    }
  }
}

function threadChannel(options: HostOptions, handlers: ChannelHandlers): EngineChannel {
  const worker = new Worker(entry, {
    workerData: options,
    execArgv: [],
    env: { ...process.env, NODE_OPTIONS: '' }
  })
  let isKilled = false
  worker.on('message', (replies: readonly EngineReply[]) => {
    if (!isKilled) handlers.onReplies(replies)
  })
  worker.on('error', (error) => {
    if (!isKilled) handlers.onExit(error.message)
  })
  worker.on('exit', (code) => {
    if (!isKilled) handlers.onExit(`the thread ended with status ${code}`)
  })
  return {
    post: (calls) => worker.postMessage(calls),
    kill() {
      isKilled = true
      worker.unref()
      return new Promise((resolve) => {
        const timer = setTimeout(() => resolve(false), threadEndMs)
        worker.terminate().then(() => {
          clearTimeout(timer)
          resolve(true)
        }, handlers.onExit)
      })
    }
  }
}

function processChannel(options: HostOptions, handlers: ChannelHandlers): EngineChannel {
  const child = fork(fileURLToPath(entry), [JSON.stringify(options)], {
    serialization: 'advanced',
    execArgv: [],
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  let isKilled = false
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  child.on('message', (replies) => {
    if (!isKilled) handlers.onReplies(replies as EngineReply[])
  })
  child.on('error', (error) => {
    if (!isKilled) handlers.onExit(error.message)
  })
  child.on('exit', (code, signal) => {
    if (!isKilled) handlers.onExit(`the process ended with ${signal ?? code}`)
  })
  return {
    post: (calls) => {
      child.send(calls as EngineCall[])
    },
    async kill() {
      isKilled = true
      child.kill('SIGKILL')
      await exited
      return true
    }
  }
}

/** Executes in a later microtask, as if it were elsewhere. */
function inlineChannel(options: HostOptions, handlers: ChannelHandlers): EngineChannel {
  const execute = executorOf(options)
  let isKilled = false
  return {
    post(calls) {
      queueMicrotask(async () => {
        if (isKilled) return
        const replies = execute(calls)
        const done = replies instanceof Promise ? await replies : replies
        if (!isKilled) handlers.onReplies(done)
      })
    },
    async kill() {
      isKilled = true
      return true
    }
  }
}
