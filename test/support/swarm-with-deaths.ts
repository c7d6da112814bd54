import { must, resolveConfig } from '../../src/core/index.js'
import { SwimSwarm } from '../../src/simulation/membership/swim-swarm.js'

export interface SwarmRun {
  readonly members: number
  readonly seed: number
  readonly ms: number
}

const deathCount = 3

/**
 * A swarm with the defaults, of which three die after a quarter of the time.
 * @throws Error in the end somebody who lives does not know, or takes somebody who lives for dead
 */
export function runSwarmWithDeaths({ members, seed, ms }: SwarmRun): void {
  const config = resolveConfig({
    code: {
      node: { id: 'x', dataDirectory: '/x' },
      cluster: { bootstrap: { voters: ['x'] } },
      security: { insecure: true }
    }
  }).membership
  const options = { members, seed, config, delayMinMs: 1, delayMaxMs: 5, lossShare: 0.01 }
  const swarm = new SwimSwarm(options, () => {})
  swarm.run(ms / 4)
  const dead = new Set<string>()
  for (let i = 0; i < deathCount; i++) {
    const member = must(swarm.members[7 * i], 'a member')
    dead.add(member.nodeId)
    swarm.crash(member)
  }
  swarm.run((3 * ms) / 4)
  for (const { isRunning, nodeId: observer, swim } of swarm.members) {
    if (!isRunning) continue
    for (const { nodeId } of swarm.members) {
      const liveness = nodeId === observer ? 'alive' : swim.member(nodeId)?.liveness
      const wanted = dead.has(nodeId) ? 'dead' : 'alive'
      if (liveness === wanted) continue
      throw new Error(`seed ${seed}: ${observer} calls ${nodeId} ${liveness}, it is ${wanted}`)
    }
  }
}
