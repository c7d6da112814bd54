/** How a node of a running cluster is brought to a crash point, and whether it died there. */
import { must, pick, type SplittableRandom } from '../../../src/core/index.js'
import { poll, type TortureCluster } from '../torture-cluster.js'
import type { TortureNode } from '../torture-node.js'
import { type Armed, type CrashPoint, crashPoints } from './crash-points.js'

/** Until a node that is armed has come to the point. */
const deathTimeoutMs = 60_000
/** What was ordered before is heeded by then. */
const orderTimeoutMs = 500
const forgottenTimeoutMs = 120_000
const hitsMax = 4
const askTimeoutMs = 2_000
/** So that it stands in the audit of the cluster, time and again. */
const audited = { path: '/v1/cluster_version/forget', body: { node: 'nobody' } }

/** @returns whether a node died at the point */
export async function strikeAt(
  cluster: TortureCluster,
  point: CrashPoint,
  random: SplittableRandom
): Promise<boolean> {
  const leader = (await cluster.leader()) ?? pick(random, cluster.ids)
  const follower = cluster.node(pick(random, cluster.others(leader)))
  const armed: Armed = { point, hits: 1 + random.nextInt(hitsMax) }
  const once: Armed = { point, hits: 1 }
  switch (crashPoints[point]) {
    case 'load':
      return dies(random.nextInt(2) === 0 ? cluster.node(leader) : follower, armed)
    case 'election':
      return dies(follower, once, () => cluster.node(leader).kill())
    case 'start':
      await follower.kill()
      return startsAndDies(follower, once)
    case 'catchUp':
      return (await isLeftBehind(cluster, follower, leader)) && startsAndDies(follower, once)
    case 'offer':
      if (!(await isLeftBehind(cluster, follower, leader))) return false
      return dies(cluster.node((await cluster.leader()) ?? leader), once, () => follower.start())
    case 'control':
      return dies(cluster.node(leader), once, () => occupyControl(cluster, leader))
    case 'founding':
      return false
  }
}

/**
 * The first starts of a node whose founding is not over: it dies at each of the points, when it
 * makes its identity, and when it pledges itself.
 */
export async function strikeFounding(
  cluster: TortureCluster,
  points: readonly CrashPoint[],
  onStruck: (point: CrashPoint) => void
): Promise<void> {
  const founding = points.filter((point) => crashPoints[point] === 'founding')
  if (founding.length === 0) return
  const [first, ...others] = cluster.nodes
  const victim = must(first, 'a node')
  const starts = others.map((node) => node.start())
  for (const point of [...founding, ...founding]) {
    if (await victim.startArmed({ point, hits: 1 }, deathTimeoutMs)) onStruck(point)
    else await victim.kill()
  }
  await Promise.all([...starts, victim.start()])
}

async function dies(
  node: TortureNode,
  armed: Armed,
  meanwhile: () => Promise<unknown> = async () => {}
): Promise<boolean> {
  node.arm(armed)
  const died = node.hasDied(deathTimeoutMs)
  await meanwhile()
  return (await died) || (await diesYet(node))
}

async function startsAndDies(node: TortureNode, armed: Armed): Promise<boolean> {
  return (await node.startArmed(armed, deathTimeoutMs)) || (await diesYet(node))
}

/** It lives on, unless it dies before it hears so. */
function diesYet(node: TortureNode): Promise<boolean> {
  node.arm(null)
  return node.hasDied(orderTimeoutMs)
}

/** Dead until the leader's log has forgotten what it lacks; false: it does not within the time. */
async function isLeftBehind(
  cluster: TortureCluster,
  follower: TortureNode,
  leader: string
): Promise<boolean> {
  await follower.kill()
  const last = must((await cluster.logOf(leader))?.lastIndex, 'a log')
  const hasForgotten = async () => {
    const log = await cluster.logOf((await cluster.leader()) ?? leader)
    return log !== null && log.firstIndex > last + 1
  }
  return poll('the log moves on', forgottenTimeoutMs, hasForgotten).then(
    () => true,
    () => false
  )
}

/** Until the node has died, or has had its time. */
async function occupyControl(cluster: TortureCluster, id: string): Promise<void> {
  const node = cluster.node(id)
  const deadline = performance.now() + deathTimeoutMs
  const asked = cluster.others(id).map(async (other) => {
    while (node.isRunning && performance.now() < deadline) {
      await cluster.admin(other).post(audited.path, audited.body, askTimeoutMs)
    }
  })
  await Promise.all(asked)
}
