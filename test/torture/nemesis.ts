/** Which faults strike a cluster, when and whom: all of it drawn from the seed. */
import { pick, type SplittableRandom, shuffle } from '../../src/core/index.js'
import { pause, poll, type TortureCluster } from './torture-cluster.js'

export const nemesisKinds = [
  'kill_leader',
  'kill_follower',
  'kill_minority',
  'kill_majority',
  'kill_all',
  'pause_leader',
  'pause_follower',
  'pause_majority',
  'pause_all',
  'handover',
  'member_change',
  'partition_leader',
  'partition_halves',
  'partition_bridge',
  'partition_ring',
  'one_way'
] as const
export type NemesisKind = (typeof nemesisKinds)[number]

const needHosts: readonly NemesisKind[] = [
  'partition_leader',
  'partition_halves',
  'partition_bridge',
  'partition_ring',
  'one_way'
]

/** In a smaller ring everybody is everybody's neighbour. */
const ringSizeMin = 5

/** Where strikes are to be made. */
export interface Ground {
  readonly hasHosts: boolean
  /** Whether nodes can be removed from groups and added. */
  readonly changesMembers: boolean
  readonly nodes: number
}

/** Kinds that cannot strike there, and why. */
export function skippedKinds(ground: Ground): Partial<Record<NemesisKind, string>> {
  const skipped: Partial<Record<NemesisKind, string>> = {}
  if (ground.nodes < ringSizeMin) skipped.partition_ring = `needs ${ringSizeMin} nodes`
  if (!ground.changesMembers) skipped.member_change = 'the admin API does not offer it'
  if (!ground.hasHosts) {
    for (const kind of needHosts) skipped[kind] = 'network namespaces are not permitted'
  }
  return skipped
}

export interface Strike {
  readonly kind: NemesisKind
  /** From the beginning. */
  readonly atMs: number
  /** Until it is healed. */
  readonly holdMs: number
  /** Names its own randomness: whom it strikes does not depend on what came before. */
  readonly name: string
}

export const strikeIntervalMs = 5_000
/** Until a node that was removed has all data and votes again. */
const memberTimeoutMs = 180_000
export const holdMs = { min: 600, max: 4_200 } as const

/** Each kind once before any comes again. */
export function planStrikes(
  random: SplittableRandom,
  kinds: readonly NemesisKind[],
  durationMs: number
): Strike[] {
  const strikes: Strike[] = []
  let deck: NemesisKind[] = []
  for (let atMs = strikeIntervalMs / 5; atMs < durationMs; atMs += strikeIntervalMs) {
    if (deck.length === 0) deck = shuffle(random, [...kinds])
    const kind = deck.pop() ?? 'kill_leader'
    const hold = holdMs.min + random.nextInt(holdMs.max - holdMs.min)
    strikes.push({ kind, atMs, holdMs: hold, name: `${kind} ${strikes.length}` })
  }
  return strikes
}

/** Strikes, holds, and heals what it did. @returns whom it struck */
export async function strike(
  cluster: TortureCluster,
  { kind, holdMs: hold }: Strike,
  random: SplittableRandom
): Promise<string> {
  const leader = (await cluster.leader()) ?? pick(random, cluster.ids)
  const followers = shuffle(random, cluster.others(leader))
  const minority = Math.floor((cluster.ids.length - 1) / 2)
  switch (kind) {
    case 'kill_leader':
      return kill(cluster, [leader], hold)
    case 'kill_follower':
      return kill(cluster, followers.slice(0, 1), hold)
    case 'kill_minority':
      return kill(cluster, shuffle(random, [...cluster.ids]).slice(0, minority), hold)
    case 'kill_majority':
      return kill(cluster, shuffle(random, [...cluster.ids]).slice(0, minority + 1), hold)
    case 'kill_all':
      return kill(cluster, cluster.ids, hold)
    case 'pause_leader':
      return halt(cluster, [leader], hold)
    case 'pause_follower':
      return halt(cluster, followers.slice(0, 1), hold)
    case 'pause_majority':
      return halt(cluster, shuffle(random, [...cluster.ids]).slice(0, minority + 1), hold)
    case 'pause_all':
      return halt(cluster, cluster.ids, hold)
    case 'handover':
      return handOver(cluster, leader, hold)
    case 'member_change':
      return replaceMember(cluster, pick(random, cluster.ids), hold)
    case 'partition_leader':
      return cut(cluster, split([leader], followers), hold)
    case 'partition_halves':
      return cut(
        cluster,
        split([leader, ...followers.slice(0, minority - 1)], followers.slice(minority - 1)),
        hold
      )
    case 'partition_bridge':
      return cut(cluster, bridge(followers[0] ?? leader, cluster.others(followers[0] ?? '')), hold)
    case 'partition_ring':
      return cut(cluster, ring(shuffle(random, [...cluster.ids])), hold)
    case 'one_way':
      return cut(cluster, oneWay(leader, followers, random.nextInt(2) === 0), hold)
  }
}

/** Nothing of the first arrives at the second. */
type Cut = readonly [from: string, to: string]

async function kill(
  cluster: TortureCluster,
  ids: readonly string[],
  hold: number
): Promise<string> {
  await Promise.all(ids.map((id) => cluster.node(id).kill()))
  await pause(hold)
  await cluster.startAll()
  return ids.join(' ')
}

async function halt(
  cluster: TortureCluster,
  ids: readonly string[],
  hold: number
): Promise<string> {
  for (const id of ids) cluster.node(id).pause()
  await pause(hold)
  for (const id of ids) cluster.node(id).resume()
  return ids.join(' ')
}

/** A planned stop: the leader gives its place to another before it goes. */
async function handOver(cluster: TortureCluster, leader: string, hold: number): Promise<string> {
  await cluster.node(leader).stop()
  await pause(hold / 4)
  await cluster.startAll()
  return leader
}

/** A node loses its replicas and its votes, and gets them back. */
async function replaceMember(cluster: TortureCluster, id: string, hold: number): Promise<string> {
  const outcome = await cluster.changeMember('remove', id)
  await pause(hold)
  let added = ''
  await poll(`${id} votes again`, memberTimeoutMs, async () => {
    added = await cluster.changeMember('add', id)
    return added === 'answer'
  })
  return `${id} (removed: ${outcome}, added: ${added})`
}

async function cut(cluster: TortureCluster, cuts: readonly Cut[], hold: number): Promise<string> {
  const { hosts } = cluster
  for (const [from, to] of cuts) await hosts?.cut(cluster.hostOf(from), cluster.hostOf(to))
  await pause(hold)
  await hosts?.heal()
  return cuts.map(([from, to]) => `${from}-${to}`).join(' ')
}

const both = (a: string, b: string): Cut[] => [
  [a, b],
  [b, a]
]

const split = (one: readonly string[], other: readonly string[]): Cut[] =>
  one.flatMap((a) => other.flatMap((b) => both(a, b)))

/** Two sides that one node sees, both of them. */
function bridge(middle: string, others: readonly string[]): Cut[] {
  const half = Math.ceil(others.length / 2)
  return split(others.slice(0, half), others.slice(half)).filter((ends) => !ends.includes(middle))
}

/** Each sees its two neighbours, and no two see the same majority. */
const ring = (ids: readonly string[]): Cut[] =>
  ids.flatMap((a, i) =>
    ids.flatMap((b, k) => {
      const apart = Math.abs(i - k)
      const isNeighbour = apart === 1 || apart === ids.length - 1
      return k > i && !isNeighbour ? both(a, b) : []
    })
  )

/** The leader is heard by nobody, or hears nobody. */
const oneWay = (leader: string, others: readonly string[], isDeaf: boolean): Cut[] =>
  others.map((other): Cut => (isDeaf ? [other, leader] : [leader, other]))
