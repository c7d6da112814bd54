/** A swarm in a thread of its own, whose memory is bounded. */
import { workerData } from 'node:worker_threads'
import { runSwarmWithDeaths, type SwarmRun } from './swarm-with-deaths.js'

runSwarmWithDeaths(workerData as SwarmRun)
