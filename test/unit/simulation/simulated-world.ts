import type { NodeId, SplittableRandom } from '../../../src/core/index.js'
import { SplittableRandom as Random } from '../../../src/core/index.js'
import { type FaultCounts, noFaults } from '../../../src/simulation/fault-counts.js'
import { type LinkOptions, Links } from '../../../src/simulation/links.js'
import { SimulatedDatagramWorld } from '../../../src/simulation/simulated-datagram-network.js'
import { SimulatedStreamWorld } from '../../../src/simulation/simulated-stream-network.js'
import { TraceHash } from '../../../src/simulation/trace-hash.js'
import {
  MachineClock,
  NodeClock,
  SimulatedProcess,
  VirtualTime
} from '../../../src/simulation/virtual-clock.js'

const calm: LinkOptions = {
  latencyMinMs: 1,
  latencyMeanMs: 1,
  lossProbability: 0,
  duplicateProbability: 0,
  reorderProbability: 0,
  delayProbability: 0,
  delaySpikeMsMax: 0,
  splitProbability: 0,
  breakProbability: 0
}

/** Two hosts, `a` and `b`, on simulated wires. */
export function makeWorld(options: Partial<LinkOptions> = {}, seed = 1) {
  const time = new VirtualTime(new TraceHash())
  const random: SplittableRandom = Random.fromSeed(seed)
  const faults: FaultCounts = noFaults()
  const links = new Links({ ...calm, ...options }, random.split('links'), faults)
  const streams = new SimulatedStreamWorld(time, links)
  const datagrams = new SimulatedDatagramWorld(time, links)
  const host = (name: string, number: number) => {
    const process = new SimulatedProcess(name, number, 0)
    const clock = new NodeClock(time, new MachineClock(time, 0), process)
    const identity = { kind: 'node', nodeId: name as NodeId, clusterName: 'test' } as const
    return {
      process,
      clock,
      streams: streams.networkOf({ process, clock, hostName: name, identity }),
      datagrams: datagrams.networkOf(process)
    }
  }
  return { time, links, faults, random, a: host('a', 0), b: host('b', 1), host }
}

/** Runs events, each drained, until `ms` from now. */
export async function run(time: VirtualTime, ms: number): Promise<void> {
  const until = time.now + ms
  while (time.step(until) !== null) await new Promise((resolve) => setImmediate(resolve))
}
