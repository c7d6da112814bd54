import {
  type DatagramNetwork,
  type PeerIdentity,
  SplittableRandom,
  type StreamNetwork
} from '../../src/core/index.js'
import { noFaults } from '../../src/simulation/fault-counts.js'
import { Links } from '../../src/simulation/links.js'
import { SimulatedDatagramWorld } from '../../src/simulation/simulated-datagram-network.js'
import { SimulatedStreamWorld } from '../../src/simulation/simulated-stream-network.js'
import { TraceHash } from '../../src/simulation/trace-hash.js'
import {
  MachineClock,
  NodeClock,
  SimulatedProcess,
  VirtualTime
} from '../../src/simulation/virtual-clock.js'

const calm = {
  latencyMinMs: 1,
  latencyMeanMs: 1,
  lossProbability: 0,
  duplicateProbability: 0,
  reorderProbability: 0,
  delayProbability: 0,
  delaySpikeMsMax: 0,
  splitProbability: 0.2,
  breakProbability: 0
}

/** Simulated networks whose time runs by itself, as fast as it can, until the test is over. */
export function runningNetworks(t: { teardown(handler: () => unknown): void }) {
  const time = new VirtualTime(new TraceHash())
  const links = new Links(calm, SplittableRandom.fromSeed(1), noFaults())
  const streams = new SimulatedStreamWorld(time, links)
  const datagrams = new SimulatedDatagramWorld(time, links)
  const machine = new MachineClock(time, 0)
  let hosts = 0
  let isOver = false
  const turn = () => {
    time.step(time.now + 1)
    if (!isOver) setImmediate(turn)
  }
  turn()
  t.teardown(() => {
    isOver = true
  })
  const processOf = (name: string) => new SimulatedProcess(name, hosts++, 0)
  return {
    now: () => machine.local(),
    streamsOf(identity: PeerIdentity): StreamNetwork {
      const hostName = identity.kind === 'node' ? identity.nodeId : identity.name
      const process = processOf(hostName)
      const clock = new NodeClock(time, machine, process)
      return streams.networkOf({ process, clock, hostName, identity })
    },
    datagrams: (): DatagramNetwork => datagrams.networkOf(processOf('any'))
  }
}
