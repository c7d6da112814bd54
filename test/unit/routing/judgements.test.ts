import t from 'tap'
import {
  Consistencies,
  type GroupId,
  Lifecycles,
  Livenesses,
  type Member,
  type MonotonicMs,
  type NodeId,
  SplittableRandom,
  type Term,
  type WallMs
} from '../../../src/core/index.js'
import { FaultVerdicts } from '../../../src/routing/node-faults.js'
import { NodeObservations } from '../../../src/routing/node-observations.js'
import { NodeStandings } from '../../../src/routing/node-standings.js'
import { type RouteQuestion, Router } from '../../../src/routing/router.js'
import { StrategyRegistry } from '../../../src/routing/strategies/registry.js'
import { config, memberOf, nodeIds } from './fake-cluster.js'

const self = 'b' as NodeId
const names = nodeIds('a', 'b', 'c', 'd', 'e', 'f')
const routing = { ...config.routing, lagEntriesMax: 10, ejectionRequestsMin: 5 }
const decisionsMax = 8

/** One of two that hear and are asked the same. */
class World {
  readonly observations = new NodeObservations()
  readonly standings: NodeStandings
  readonly router: Router

  constructor(strategy: string, seed: number) {
    const random = SplittableRandom.fromSeed(seed)
    this.standings = new NodeStandings({ random: random.split('ejection') }, routing)
    this.standings.start(0)
    this.router = new Router(
      {
        observations: this.observations,
        standings: this.standings,
        random: random.split('choice'),
        strategy: new StrategyRegistry(routing).create(strategy)
      },
      {
        ...routing,
        nodeId: self,
        datacenter: 'd1',
        rack: 'r1',
        explainedDecisionsMax: decisionsMax
      }
    )
  }
}

/** What happens to both; and the state that questions are made of. */
class Story {
  readonly #random: SplittableRandom
  members: readonly Member[] = names.slice(0, 5).map((name) => this.#memberOf(name))
  voters: readonly NodeId[] = names.slice(0, 4)
  leader: NodeId | null = 'a' as NodeId
  hasReplica = true
  now = 1_000
  index = 100

  constructor(seed: number) {
    this.#random = SplittableRandom.fromSeed(seed).split('story')
  }

  draw<T>(from: readonly T[]): T {
    return from[this.#random.nextInt(from.length)] as T
  }

  chance(share: number): boolean {
    return this.#random.nextFloat() < share
  }

  /** As a function of a world, so that both have the same happen to them. */
  next(): (world: World) => void {
    const node = this.draw(names)
    const { now } = this
    switch (this.#random.nextInt(12)) {
      case 0:
        this.members = this.members.map((one) => (one.nodeId === node ? this.#changed(one) : one))
        return () => {}
      case 1:
        return this.#comeOrGo(node)
      case 2:
        return this.#replaced(node)
      case 3:
        this.now += this.draw([1, 200, 501, 2_000, 5_001, 20_000])
        return () => {}
      case 4: {
        const status = this.draw(['healthy', 'degraded', 'unreachable'] as const)
        return ({ standings }) => {
          standings.handleVerdict({
            nodeId: node,
            status,
            quality: 0.4,
            diagnosis: 'networkSlow',
            since: now as MonotonicMs,
            reason: `${status} since ${now}`
          })
        }
      }
      case 5:
      case 6: {
        const faults = this.draw([1, 5])
        return ({ standings }) => {
          for (let i = 0; i < faults; i++) standings.handleResult(node, FaultVerdicts.Fault, now)
        }
      }
      case 7:
        return ({ standings }) => standings.handleResult(node, FaultVerdicts.Success, now)
      case 8: {
        this.index += this.draw([0, 1, 15])
        const index = this.index - this.draw([0, 0, 1, 12])
        return ({ standings }) => standings.handleApplied(node, index, now)
      }
      case 9:
        return ({ standings }) => void standings.ejections(now)
      default: {
        const latencyMs = this.draw([1, 5, 50])
        return ({ observations }) => {
          observations.of(node).begin()
          observations.of(node).end({ latencyMs, utilisation: 0.5, queueDepth: 1 }, now)
        }
      }
    }
  }

  question(): Omit<RouteQuestion, 'members'> {
    const { voters, leader, hasReplica } = this
    const group = 0 as GroupId
    const isPlaced = !this.chance(0.02)
    return {
      group,
      kind: this.chance(0.2) ? 'write' : 'read',
      consistency: this.draw(Object.values(Consistencies)),
      key: 'k',
      isSpread: this.chance(0.1),
      preferred: this.chance(0.1) ? this.draw(names) : null,
      placement: isPlaced ? { group, term: 1 as Term, leader, voters: [...voters] } : null,
      hasReplica,
      avoid: new Set(this.chance(0.1) ? [this.draw(names)] : []),
      atLeastIndex: this.chance(0.2) ? this.index - this.draw([0, 5]) : 0,
      now: this.now as MonotonicMs,
      wallNow: this.now as WallMs
    }
  }

  #comeOrGo(node: NodeId): (world: World) => void {
    const { now } = this
    if (this.members.some(({ nodeId }) => nodeId === node)) {
      this.members = this.members.filter(({ nodeId }) => nodeId !== node)
      const left = new Set(this.members.map(({ nodeId }) => nodeId))
      return ({ observations, standings }) => {
        standings.handleMemberGone(node)
        observations.retain((one) => left.has(one))
      }
    }
    const joined = [...this.members, this.#memberOf(node)]
    this.members = joined.sort((one, other) => (one.nodeId < other.nodeId ? -1 : 1))
    return ({ standings }) => standings.handleMemberJoined(node, now)
  }

  #replaced(node: NodeId): () => void {
    if (this.chance(0.5)) this.leader = this.chance(0.2) ? null : node
    else if (this.chance(0.2)) this.hasReplica = !this.hasReplica
    else if (!this.voters.includes(node)) this.voters = [...this.voters, node].sort()
    else if (this.voters.length > 2) this.voters = this.voters.filter((one) => one !== node)
    return () => {}
  }

  #changed(member: Member): Member {
    const weight = this.draw([50, 100, 300])
    return {
      ...member,
      liveness: this.draw([Livenesses.Alive, Livenesses.Alive, Livenesses.Suspect, 'dead']),
      lifecycle: this.draw([Lifecycles.Up, Lifecycles.Up, Lifecycles.Up, Lifecycles.Draining]),
      health: this.draw(['healthy', 'healthy', 'degraded']),
      capacity: { ...member.capacity, weight }
    }
  }

  #memberOf(node: NodeId): Member {
    return memberOf(node, { datacenter: node < 'd' ? 'd1' : 'd2', rack: node < 'c' ? 'r1' : 'r2' })
  }
}

/**
 * The twin is given a new list of members with each question, so it judges everybody anew each
 * time; what it says, also of earlier decisions, the one that keeps judgements must say too.
 */
t.test('what is kept decides as what is judged anew, word for word', async (t) => {
  const reached = { routed: 0, refused: 0, ejected: 0, lagging: 0, panic: 0, slowly: 0 }
  for (let seed = 1; seed <= 120; seed++) {
    const strategy =
      seed % 3 === 0 ? 'weighted-round-robin' : seed % 3 === 1 ? 'adaptive' : 'random'
    const story = new Story(seed)
    const kept = new World(strategy, seed)
    const anew = new World(strategy, seed)
    for (let step = 0; step < 60; step++) {
      if (story.chance(0.5)) {
        const happens = story.next()
        happens(kept)
        happens(anew)
      }
      const asked = story.question()
      const { members } = story
      const copied = { ...asked, members: [...members] }
      if (kept.router.choose({ ...asked, members }) !== anew.router.choose(copied)) {
        t.same(kept.router.lastDecisions().at(-1), anew.router.lastDecisions().at(-1))
        return t.fail(`seed ${seed}, step ${step}`)
      }
      const events = kept.standings.takeEvents()
      if (JSON.stringify(events) !== JSON.stringify(anew.standings.takeEvents())) {
        return t.fail(`events of seed ${seed}, step ${step}`)
      }
      if (step % decisionsMax !== 0) continue
      const told = kept.router.lastDecisions()
      if (JSON.stringify(told) !== JSON.stringify(anew.router.lastDecisions())) {
        t.same(told, anew.router.lastDecisions(), `seed ${seed}, step ${step}`)
        return
      }
      for (const { decision, candidates, notes } of told) {
        if (decision === null) reached.refused++
        else reached.routed++
        const words = candidates.map(({ exclusion }) => exclusion ?? '').join()
        if (words.includes('ejected for')) reached.ejected++
        if (words.includes('lags ')) reached.lagging++
        if (notes.some((note) => note.startsWith('health is ignored'))) reached.panic++
        if (notes.some((note) => note.endsWith('starts slowly'))) reached.slowly++
      }
    }
  }
  for (const [what, count] of Object.entries(reached)) t.ok(count > 10, `${what}: ${count}`)
})
