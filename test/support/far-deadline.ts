import { after } from '../../src/core/deadlines.js'
import { nodeClock } from '../../src/runtime/index.js'

/** Beyond any test, whenever the machine was started: its clock counts from there. */
export const farDeadline = after(nodeClock().now(), 3_600_000)
