import { IndeterminateError } from '../../../src/core/errors.js'
import type { GroupId, NodeId } from '../../../src/core/ids.js'
import { toClientId } from '../../../src/core/ids.js'
import { silentLogger } from '../../../src/core/ports/logger.js'
import type { Messenger } from '../../../src/core/ports/messenger.js'
import type { ClientTag } from '../../../src/core/ports/replicated-group.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { TransactionsDriver } from '../../../src/failover/two-phase/transactions-driver.js'
import { TestCluster, type TestClusterOptions } from '../consensus-cluster.js'

export const groups = [0, 1, 2] as GroupId[]
export const names = ['a', 'b', 'c']
export const accountsPerGroup = 3
export const startBalance = 100

type Request = Parameters<TransactionsDriver['execute']>[0]

/** Accounts over groups that real replicas carry, over memory and virtual time. */
export function bank(seed: number, options: Pick<TestClusterOptions, 'wrap'> = {}) {
  const drivers = new Map<Messenger, TransactionsDriver>()
  const current = new Map<string, TransactionsDriver>()
  const short = { logEntriesMax: 64, logTailShare: 0.1 }
  const cluster: TestCluster = new TestCluster({
    ...options,
    seed,
    groups,
    syncLatencyMs: 3,
    consensus: short,
    sections: (name, group, { messenger, clock }) => {
      const known = drivers.get(messenger)
      if (known !== undefined) return [known.sectionOf(group)]
      const driver = new TransactionsDriver(
        {
          clock,
          messenger,
          random: SplittableRandom.fromSeed(seed).split(name),
          logger: silentLogger,
          replicaOf: (id) => cluster.node(name).driver.group(id),
          leaderOf: (id) => cluster.node(name).driver.leaderOf(id)
        },
        { nodeId: name as NodeId }
      )
      driver.start()
      drivers.set(messenger, driver)
      current.set(name, driver)
      return [driver.sectionOf(group)]
    }
  })
  // A process that has lost its power answers nobody.
  const run = (name: string, request: Omit<Request, 'deadline'>) =>
    new Promise<Awaited<ReturnType<TransactionsDriver['execute']>>>((resolve, reject) => {
      const driver = current.get(name) as TransactionsDriver
      driver.execute({ ...request, deadline: cluster.deadline(1_500) }).then(resolve, reject)
      cluster.clock.schedule(cluster.deadline(2_000), () =>
        reject(new IndeterminateError('no answer'))
      )
    })
  return { cluster, current, run }
}

export type World = ReturnType<typeof bank>

export const account = (group: number, at: number): string => `g${group}-${at}`

export const requestOf = (
  parts: readonly (readonly [GroupId, string])[],
  client: ClientTag | null
) => {
  const order = [...new Set(parts.map(([group]) => group))]
  const branches = order.map((group) => {
    const statements = parts.flatMap(([of], at) => (of === group ? [at] : []))
    return { group, statements, reads: statements.every((at) => parts[at]?.[1].startsWith('get')) }
  })
  return { statements: parts.map(([, sql]) => ({ sql })), branches, client }
}

/** Sent to whoever leads until there is an answer, under one number. */
export async function carriedOut(
  { cluster, run }: World,
  parts: Parameters<typeof requestOf>[0],
  tag: ClientTag | null
) {
  for (let attempt = 0; attempt < 60; attempt++) {
    const [coordinating] = parts[0] as readonly [GroupId, string]
    const leader = cluster.leader(coordinating)
    if (leader !== null) {
      try {
        return await run(leader, requestOf(parts, tag))
      } catch (error) {
        const { code } = error as { code?: string }
        if (code === undefined) throw error
      }
    }
    await new Promise<void>((resolve) => {
      cluster.clock.schedule(cluster.deadline(50), resolve)
    })
  }
  throw new Error('it was never carried out')
}

export async function opened(world: World): Promise<void> {
  const { cluster } = world
  await cluster.startAll()
  for (const group of groups) await cluster.untilLeader(group)
  for (const group of groups) {
    const leader = cluster.group(cluster.leader(group) as string, group)
    for (let at = 0; at < accountsPerGroup; at++) {
      const statements = [{ sql: `set ${account(group, at)} ${startBalance}` }]
      const written = leader.write({ statements, client: null, deadline: cluster.deadline() })
      await cluster.clock.settle(written)
    }
  }
}

export async function registered({ cluster }: World, client: string): Promise<void> {
  for (const group of groups) {
    const leader = cluster.group(cluster.leader(group) as string, group)
    await cluster.clock.settle(leader.registerClient(toClientId(client), cluster.deadline()))
  }
}
