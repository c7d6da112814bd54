/** The entry of the thread behind `NodeWorkers`. */
import { type TaskCall, TaskHost, type TaskOutcome } from './task-host.js'

const host = new TaskHost()

export const handleCall = (call: TaskCall): Promise<TaskOutcome> => host.handle(call)
