/**
 * Runs beside a writer's or reader's process, in a thread of it. When the node dies the channel
 * closes, but a process that is inside a long statement does not notice: it would go on holding the
 * database, and the node could not be started again. This thread ends it.
 */
import { workerData } from 'node:worker_threads'

const lookIntervalMs = 200

setInterval(() => {
  if (process.ppid !== (workerData as number)) process.kill(process.pid, 'SIGKILL')
}, lookIntervalMs)
