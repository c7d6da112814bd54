/**
 * A cluster of pure Raft cores on virtual time, driven by one seed: loss, duplicates, reordering,
 * one-way cuts, slow and stalled disks, crashes that lose what was not synced, pauses, transfers,
 * answers of older terms, changes of members, in half of the seeds one of two nemeses, and in half
 * of them logs that are compacted, with snapshots. Messages pass through their codecs. Everything
 * is checked after every event.
 */
import {
  type ChangeOutcome,
  configurationOf,
  encodeConfiguration,
  encodeEntryPayload,
  isJoint,
  type MemberChange,
  membersOf,
  Raft,
  type RaftEvent,
  type RaftMessage,
  type RaftOptions,
  type RaftPersist,
  raftDeclarations,
  reconcile
} from '../../../src/consensus/index.js'
import { fromWire, toWire } from '../../../src/consensus/messages.js'
import type { LeaseRead } from '../../../src/consensus/raft/types.js'
import {
  DEFAULT_GROUP,
  type Effects,
  type LogBase,
  type LogIndex,
  type MonotonicMs,
  must,
  pick,
  type ReplicaId,
  SplittableRandom,
  shuffle,
  storageOf,
  type Term,
  toReplicaId
} from '../../../src/core/index.js'
import { ByteReader, ByteWriter } from '../../../src/wire/index.js'
import { type LeaseHands, LeaseNemesis } from './lease-nemesis.js'
import { type MembersHands, MembersNemesis } from './members-nemesis.js'
import { OldTermsNemesis } from './old-terms-nemesis.js'
import { ApplyCheck, hold, type Image, lastOf, RaftChecks, rebased } from './raft-checks.js'

interface DiskRequest {
  readonly request: RaftPersist
  readonly doneAt: number
  /** Leave when the request is durable. */
  readonly messages: RaftMessage[]
}

interface Node {
  readonly id: ReplicaId
  readonly image: Image
  /** The log as the core sees it. */
  view: Image
  raft: Raft | null
  disk: DiskRequest[]
  apply: ApplyCheck
  /** What its engine keeps whatever happens, and what that was restored to last. */
  engineDurable: LogIndex
  engineBase: LogBase | null
  /** A snapshot that it takes, or takes in. */
  transfer: { readonly doneAt: number; readonly finish: (raft: Raft) => void } | null
  appliedWhenHealed: number
  leads: Term | null
  pausedUntil: number
  stalledUntil: number
  /** The first thing that it does after a pause, before it learns what it slept through. */
  readsWhenResumed: boolean
  /** Under a lease, on its way through the engine. */
  read: LeasedRead | null
}

interface LeasedRead extends LeaseRead {
  readonly raft: Raft
  /** That its caller knows of. */
  readonly floor: number
  readonly doneAt: number
}

interface Packet {
  readonly at: number
  readonly sequence: number
  readonly message: RaftMessage
}

export interface RaftRunOptions {
  readonly faultsMs: number
}

/** A run of some seconds takes a few ten thousand. */
const eventsMax = 500_000
/** Answers kept, to come again in a later term. */
const keptAnswersMax = 64

const writer = () => new ByteWriter(1 << 20)

export class RaftCluster {
  readonly checks = new RaftChecks()
  readonly faults: Record<string, number> = {}
  readonly leaseReads = { told: 0, withheld: 0 }
  readonly options: RaftOptions
  events = 0
  now = 0
  readonly #random: SplittableRandom
  readonly #nodes: Node[]
  readonly #voters: ReplicaId[]
  readonly #cut = new Set<string>()
  readonly #loss: number
  readonly #duplicates: number
  readonly #delayMaxMs: number
  readonly #faultRarity: number
  /** Every new leader is soon cut off with some others: short terms, unfinished entries. */
  readonly #isStormy: boolean
  readonly #nemesis: OldTermsNemesis | MembersNemesis | LeaseNemesis | null
  readonly #snapshots: SplittableRandom
  readonly #leases: SplittableRandom
  /** Logs are compacted. */
  readonly #isCompacting: boolean
  /** Members come and go. */
  readonly #isChanging: boolean
  #isFaulty = true
  #packets: Packet[] = []
  #keptAnswers: RaftMessage[] = []
  #sequence = 0
  #requestId = 0
  #tickAt = 0
  #stormTerm = 0 as Term
  #proposals = 0
  #targetIndex = 0

  constructor(seed: number) {
    const random = SplittableRandom.fromSeed(seed).split('cluster')
    this.#random = random
    this.#snapshots = SplittableRandom.fromSeed(seed).split('snapshots')
    this.#leases = SplittableRandom.fromSeed(seed).split('leases')
    this.#isCompacting = this.#snapshots.nextInt(2) === 0
    const isOldTerms = seed % 4 === 0
    const isMembers = seed % 4 === 2
    const isLeases = seed % 8 === 1
    const count = isMembers
      ? 5
      : isOldTerms || isLeases
        ? 3 + random.nextInt(3)
        : 1 + random.nextInt(5)
    const ids = Array.from({ length: count }, (_, i) => toReplicaId(`n${i}/${'0'.repeat(15)}${i}`))
    this.#isChanging = !isOldTerms && !isMembers && !isLeases && random.nextInt(3) > 0
    const outsiders = this.#isChanging ? ids.slice(1 + random.nextInt(count)) : []
    const founders = ids.filter((id) => !outsiders.includes(id))
    const learners =
      !isLeases && founders.length > 3 && random.nextInt(3) === 0 ? founders.slice(-1) : []
    this.#voters = founders.filter((id) => !learners.includes(id))
    this.#loss = random.nextInt(3) * 0.08
    this.#duplicates = random.nextInt(3) * 0.15
    this.#delayMaxMs = pick(random, [2, 10, 60])
    this.#faultRarity = pick(random, [8, 20, 50])
    this.#isStormy = random.nextInt(3) === 0
    this.options = {
      heartbeatIntervalMs: 50,
      electionTimeoutMinMs: 150,
      electionTimeoutMaxMs: 300,
      // With and without: an even number of replicas tells at once.
      commitNoticeDelayMs: count % 2 === 0 ? 0 : 2,
      appendsInFlightMax: 1 + random.nextInt(8),
      appendBytesInFlightMax: seed % 3 === 0 ? 40 : 4_096,
      // Each entry alone, when the old ones are to arrive without the new.
      appendSizeBytesMax: isOldTerms ? 1 : pick(random, [8, 64, 4096]),
      uncommittedBytesMax: 400,
      unappliedBytesMax: pick(random, [20, 100, 4_096]),
      pendingReadsMax: 16,
      transferTimeoutMs: 0,
      snapshotKeepMs: 60_000,
      // In half of the seeds; one clock is everybody's.
      leaseReads: isLeases || this.#leases.nextInt(2) === 0,
      leaseClockRatioMax: 1
    }
    const payload = encodeConfiguration(configurationOf(this.#voters, learners))
    const founding = { index: 1 as LogIndex, term: 0 as Term, payload }
    const imageOf = (id: ReplicaId): Image => ({
      hardState: { term: 0 as Term, vote: null },
      base: null,
      entries: outsiders.includes(id) ? [] : [founding]
    })
    this.#nodes = ids.map((id) => ({
      id,
      image: imageOf(id),
      view: imageOf(id),
      raft: null,
      disk: [],
      apply: new ApplyCheck(0 as LogIndex, this.options.unappliedBytesMax),
      engineDurable: 0 as LogIndex,
      engineBase: null,
      transfer: null,
      appliedWhenHealed: 0,
      leads: null,
      pausedUntil: 0,
      stalledUntil: 0,
      readsWhenResumed: false,
      read: null
    }))
    for (const node of this.#nodes) this.#start(node)
    const voters = this.#nodes.filter(({ id }) => this.#voters.includes(id))
    this.#nemesis = isOldTerms
      ? new OldTermsNemesis(this.#handsOf(random.split('old terms'), voters))
      : isMembers
        ? new MembersNemesis(this.#handsOf(random.split('members'), this.#nodes))
        : isLeases
          ? new LeaseNemesis(this.#leaseHandsOf(random.split('lease nemesis')))
          : null
  }

  /** Faults for a while, then none: everything must converge. */
  run({ faultsMs }: RaftRunOptions): void {
    while (this.now < faultsMs) this.#step(faultsMs)
    this.#heal()
    const deadline = this.now + 20 * this.options.electionTimeoutMaxMs
    while (!this.#hasConverged()) {
      hold('liveness', this.now < deadline, `no convergence:\n${this.describe()}`)
      this.#step(deadline)
    }
  }

  describe(): string {
    return this.#nodes.map((node) => `${node.id} ${JSON.stringify(node.raft?.status())}`).join('\n')
  }

  #step(limit: number): void {
    const packet = this.#packets[0]
    let at = Math.min(limit, this.#tickAt, packet?.at ?? Number.POSITIVE_INFINITY)
    let due: Node | null = null
    let dueDisk: Node | null = null
    for (const node of this.#nodes) {
      const timerAt = Math.max(node.raft?.nextDeadline() ?? limit, node.pausedUntil, this.now)
      if (timerAt < at) {
        at = timerAt
        due = node
        dueDisk = null
      }
      const diskAt = Math.max(node.disk[0]?.doneAt ?? limit, node.pausedUntil)
      if (diskAt < at) {
        at = diskAt
        due = null
        dueDisk = node
      }
    }
    this.now = Math.max(this.now, at)
    this.#tellReads()
    this.#readWhenResumed()
    this.events++
    hold('liveness', this.events < eventsMax, 'the cluster is busy with itself')
    if (due !== null) this.#call(due, (raft, now) => raft.handleTimeout(now))
    else if (dueDisk !== null) this.#sync(dueDisk)
    else if (packet !== undefined && packet.at <= this.now) this.#deliver()
    if (this.now < this.#tickAt) return
    this.#tickAt = this.now + 0.5 + this.#random.nextInt(8)
    if (this.#isFaulty) this.#trouble()
    this.#apply(pick(this.#random, this.#nodes))
    if (this.#isCompacting) this.#workOnSnapshots()
    if (this.options.leaseReads) this.#readUnderLease()
    this.#work()
  }

  #trouble(): void {
    if (this.#nemesis !== null) this.#nemesis.tick()
    else if (this.#isStormy) this.#maybeStorm()
    else this.#maybeFault()
    this.#maybeRepeatAnswer()
  }

  /** Some engines lag behind: the core hears late what they have applied. */
  #apply(node: Node): void {
    if (node.raft === null || node.pausedUntil > this.now) return
    node.apply.told()
    this.#call(node, (raft, now) => raft.handleApplied(node.apply.applied, now))
  }

  #workOnSnapshots(): void {
    const random = this.#snapshots
    for (const node of this.#nodes) {
      const { transfer } = node
      if (transfer === null || node.pausedUntil > this.now || transfer.doneAt > this.now) continue
      node.transfer = null
      this.#call(node, transfer.finish)
    }
    const node = pick(random, this.#nodes)
    if (random.nextInt(6) !== 0 || node.raft === null || node.pausedUntil > this.now) return
    // Some engines make durable only a part of what they have applied.
    const { applied } = node.apply
    const undurable = random.nextInt(3) === 0 ? random.nextInt(applied - node.engineDurable + 1) : 0
    node.engineDurable = (applied - undurable) as LogIndex
    const { engineDurable: durableIndex } = node
    const tail = { entriesMax: random.nextInt(12), bytesMax: random.nextInt(500) }
    const heedsSnapshots = random.nextInt(4) !== 0
    node.apply.told()
    this.#call(node, (raft, now) => {
      raft.handleApplied(applied, now)
      if (raft.compact({ durableIndex, tail, heedsSnapshots }, now) > 0) this.#count('compaction')
    })
  }

  #takeSnapshot(node: Node): void {
    const isTaken = this.#snapshots.nextInt(5) !== 0
    const index = node.apply.applied
    const sha256 = new Uint8Array(32)
    this.#later(node, (raft) => {
      const snapshot = isTaken ? { index, format: 1, sizeBytes: 1, sha256 } : null
      raft.handleSnapshot(snapshot, this.now as MonotonicMs)
    })
  }

  #takeIn(node: Node, base: LogBase): void {
    if (node.transfer !== null) return
    const fate = this.#snapshots.nextInt(8)
    this.#later(node, (raft) => {
      const now = this.now as MonotonicMs
      if (!raft.needsSnapshot(base.index)) return
      if (fate === 0) {
        raft.refuseSnapshot(base.index, now)
        return
      }
      node.engineDurable = base.index
      node.engineBase = base
      node.apply.restored(base.index)
      // It may die between its engine and its log.
      if (fate === 1 && this.#isFaulty) this.#crash(node)
      else raft.handleRestored(base, now)
      this.#count('install')
    })
  }

  #later(node: Node, finish: (raft: Raft) => void): void {
    // Some take so long that another leader's log overtakes them.
    const longestMs = this.#isFaulty && this.#snapshots.nextInt(4) === 0 ? 3_000 : 300
    node.transfer = { doneAt: this.now + this.#snapshots.nextInt(longestMs), finish }
  }

  #handsOf(random: SplittableRandom, nodes: readonly Node[]): MembersHands {
    return {
      random,
      nodes,
      now: () => this.now,
      connect: (...groups) => {
        for (const node of this.#nodes) if (node.raft === null) this.#start(node)
        this.#cut.clear()
        for (const { id: a } of this.#nodes) {
          for (const { id: b } of this.#nodes) {
            const has = (id: ReplicaId) => groups.find((group) => group.some((n) => n.id === id))
            if (has(a) === undefined || has(a) !== has(b)) this.#cut.add(`${a}>${b}`)
          }
        }
      },
      crash: ({ id }) => this.#crash(this.#node(id)),
      propose: ({ id }) => this.#propose(this.#node(id)),
      change: ({ id }, roles) =>
        this.#changeMembers(
          this.#node(id),
          [...roles].map(([replica, role]) => ({ replica, role }))
        ),
      count: (fault) => this.#count(fault)
    }
  }

  #leaseHandsOf(random: SplittableRandom): LeaseHands {
    return {
      ...this.#handsOf(random, this.#nodes),
      lose: ({ id }, peer) =>
        this.#call(this.#node(id), (raft, now) => raft.handlePeerLost(peer.id, now)),
      transfer: ({ id }) =>
        this.#call(this.#node(id), (raft, now) => raft.transferLeadership(null, now)),
      pause: ({ id }, ms) => this.#pause(this.#node(id), ms)
    }
  }

  /** What was acknowledged in an older term comes late, to a leader of a later one. */
  #maybeRepeatAnswer(): void {
    if (this.#keptAnswers.length === 0 || this.#random.nextInt(8) !== 0) return
    const message = pick(this.#random, this.#keptAnswers)
    const { leads } = this.#node(message.to)
    if (leads === null || message.term >= leads) return
    this.#count('oldAnswer')
    this.#queue(message, this.now)
  }

  #pause(node: Node, ms: number): void {
    node.pausedUntil = this.now + ms
    node.readsWhenResumed = true
  }

  #readWhenResumed(): void {
    for (const node of this.#nodes) {
      if (!node.readsWhenResumed || node.pausedUntil > this.now) continue
      node.readsWhenResumed = false
      this.#read(node)
    }
  }

  /** Reads that go on keep a lease going, at whoever believes to lead. */
  #readUnderLease(): void {
    if (this.#leases.nextInt(3) !== 0) return
    const leading = this.#nodes.filter((one) => one.leads !== null && one.pausedUntil <= this.now)
    if (leading.length > 0) this.#read(pick(this.#leases, leading))
  }

  /** Its owner, or its machine, may stand still between the state and the clock. */
  #read(node: Node): void {
    const lease = node.read === null ? (node.raft?.leaseRead() ?? null) : null
    if (lease !== null && node.raft !== null) {
      const takesMs = this.#leases.nextInt(pick(this.#leases, [1, 10, 200]))
      const floor = this.checks.acknowledgedIndex
      node.read = { ...lease, raft: node.raft, floor, doneAt: this.now + takesMs }
      if (takesMs === 0) this.#tellReads()
      return
    }
    const requestId = ++this.#requestId
    this.checks.readAsked(node.id, requestId)
    this.#call(node, (raft, now) => raft.requestReadIndex(requestId, now))
  }

  #tellReads(): void {
    for (const node of this.#nodes) {
      const { read } = node
      if (read === null || read.doneAt > this.now || node.pausedUntil > this.now) continue
      node.read = null
      if (node.raft !== read.raft) continue
      if (!read.raft.holdsLease(read.term, this.now as MonotonicMs)) {
        this.leaseReads.withheld++
        continue
      }
      this.leaseReads.told++
      const { floor, index } = read
      hold('read', index >= floor, `${node.id} read ${index} below ${floor} under a lease`)
      this.#call(node, (raft, now) => {
        if (raft.isLeaseOld(now)) raft.renewLease(now)
      })
    }
  }

  #deliver(): void {
    const { message } = must(this.#packets.shift(), 'packet')
    const node = this.#node(message.to)
    if (this.#cut.has(`${message.from}>${message.to}`)) return
    if (this.#isFaulty && this.#nemesis?.loses(message)) return
    if (node.pausedUntil > this.now) this.#queue(message, node.pausedUntil)
    else this.#call(node, (raft, now) => raft.receive(message, now))
  }

  #call(node: Node, act: (raft: Raft, now: MonotonicMs) => void): void {
    if (node.raft === null) return
    act(node.raft, this.now as MonotonicMs)
    const { raft } = node
    if (raft !== null) this.#carryOut(node, raft.drain())
  }

  #carryOut(node: Node, effects: Effects<RaftMessage, RaftPersist, RaftEvent>): void {
    const { term, commitIndex } = must(node.raft, 'core').status()
    for (const message of effects.sendNow) this.#send(node, message)
    if (effects.persist !== null) {
      this.checks.persisted(node.id, node.view, effects.persist, node.leads, commitIndex)
      write(node.view, effects.persist)
      const latencyMs = this.#random.nextInt(4) === 0 ? this.#random.nextInt(30) : 1
      const doneAt = Math.max(this.now + latencyMs, node.stalledUntil)
      node.disk.push({ request: effects.persist, doneAt, messages: [] })
    }
    const last = node.disk.at(-1)
    if (last !== undefined) last.messages.push(...effects.sendAfterPersist)
    else for (const message of effects.sendAfterPersist) this.#send(node, message)
    for (const event of effects.emit) {
      if (event.type === 'RoleChanged') node.leads = event.role === 'leader' ? event.term : null
      this.checks.emitted(node.id, event, node.view, term)
      node.apply.emitted(node.id, event, Math.max(lastOf(node.image), node.engineDurable))
      if (event.type === 'SnapshotWanted') this.#takeSnapshot(node)
      if (event.type === 'SnapshotOffered') this.#takeIn(node, event.base)
    }
  }

  /** One sync may make several requests durable, and the core hears of the last alone. */
  #sync(node: Node): void {
    const count = Math.min(node.disk.length, 1 + this.#random.nextInt(3))
    const done = node.disk.splice(0, count)
    for (const { request } of done) write(node.image, request)
    const { sequence } = must(done.at(-1), 'request').request
    const sendFirst = this.#random.nextInt(2) === 0
    const flush = () => {
      for (const { messages } of done) for (const message of messages) this.#send(node, message)
    }
    if (sendFirst) flush()
    this.#call(node, (raft, now) => raft.handlePersisted(sequence, now))
    if (!sendFirst) flush()
  }

  #send(node: Node, message: RaftMessage): void {
    this.checks.sent(message, node.image)
    if (message.kind === 'appendEntriesResponse' && !message.rejected) this.#keepAnswer(message)
    if (this.#isFaulty && this.#random.nextFloat() < this.#loss) {
      this.#count('loss')
      return
    }
    this.#queue(copy(message), this.now + 0.1 + this.#random.nextFloat() * this.#delayMaxMs)
    if (this.#isFaulty && this.#random.nextFloat() < this.#duplicates) {
      this.#count('duplicate')
      this.#queue(
        copy(message),
        this.now + this.#random.nextInt(pick(this.#random, [50, 400, 2_000]))
      )
    }
  }

  #keepAnswer(message: RaftMessage): void {
    if (this.#keptAnswers.length >= keptAnswersMax) {
      this.#keptAnswers.splice(this.#random.nextInt(keptAnswersMax), 1)
    }
    this.#keptAnswers.push(message)
  }

  #queue(message: RaftMessage, at: number): void {
    const packet = { at, sequence: this.#sequence++, message }
    let low = 0
    let high = this.#packets.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (must(this.#packets[middle], 'packet').at <= at) low = middle + 1
      else high = middle
    }
    this.#packets.splice(low, 0, packet)
  }

  #work(): void {
    const random = this.#random
    const node = pick(random, this.#nodes)
    if (node.raft === null || node.pausedUntil > this.now) return
    switch (random.nextInt(this.#isFaulty ? 40 : 6)) {
      case 0:
      case 1:
      case 2:
        this.#read(node)
        break
      case 39:
        this.#count('transfer')
        this.#call(node, (raft, now) => raft.transferLeadership(null, now))
        break
      case 30:
      case 31:
      case 32:
      case 33:
      case 34:
        if (this.#isChanging) this.#changeSomeMembers()
        else this.#propose(node)
        break
      default:
        this.#propose(node)
    }
  }

  /** Whoever leads, or believes that it does: some members leave, some come, some change. */
  #changeSomeMembers(): void {
    const random = this.#random
    const leading = this.#nodes.filter((one) => one.leads !== null && one.pausedUntil <= this.now)
    if (leading.length === 0) return
    const leader = pick(random, leading)
    const { voters, learners } = must(leader.raft, 'core').status().configuration
    const ids = shuffle(
      random,
      this.#nodes.map(({ id }) => id)
    )
    const changes = ids.slice(0, 1 + random.nextInt(3)).map((replica): MemberChange => {
      if (voters.includes(replica)) return { replica, role: pick(random, ['none', 'learner']) }
      if (!learners.includes(replica)) return { replica, role: 'learner' }
      return { replica, role: random.nextInt(4) === 0 ? 'none' : 'voter' }
    })
    this.#changeMembers(leader, changes)
  }

  #changeMembers(leader: Node, changes: readonly MemberChange[]): ChangeOutcome['kind'] {
    const kinds: ChangeOutcome['kind'][] = []
    this.#call(leader, (raft, now) => {
      kinds.push(raft.changeConfiguration(changes, now).kind)
    })
    const [kind = 'refused'] = kinds
    if (kind === 'proposed') this.#count('change')
    return kind
  }

  #propose(node: Node): void {
    const number = ++this.#proposals
    const bytes = Uint8Array.of(number & 255, number >> 8, ...new Uint8Array(number % 24))
    const payload = encodeEntryPayload({ kind: 'batch', bytes })
    this.#call(node, (raft, now) => {
      raft.propose(payload, now)
    })
  }

  #maybeStorm(): void {
    const random = this.#random
    const leaders = this.#nodes.filter(
      (node) => node.leads !== null && node.leads > this.#stormTerm
    )
    const leader = leaders[0]
    if (random.nextInt(60) === 0) this.#cut.clear()
    for (const node of this.#nodes) if (node.raft === null) this.#start(node)
    if (leader === undefined || random.nextInt(4) !== 0) return
    this.#stormTerm = must(leader.leads, 'term')
    this.#cut.clear()
    if (random.nextInt(3) === 0) this.#crash(leader)
    this.#partition((node) => node === leader || random.nextInt(3) === 0)
  }

  #maybeFault(): void {
    const random = this.#random
    if (random.nextInt(this.#faultRarity) !== 0) return
    const leading = this.#nodes.filter((one) => one.leads !== null)
    const isLeaders = leading.length > 0 && random.nextInt(2) === 0
    const node = pick(random, isLeaders ? leading : this.#nodes)
    const peer = pick(random, this.#nodes)
    switch (random.nextInt(14)) {
      case 0:
        if (node.raft !== null) this.#crash(node)
        break
      case 1:
      case 2:
        if (node.raft === null) this.#start(node)
        break
      case 3:
        this.#count('pause')
        // Its answers wait for it, and must not count for what is asked when it wakes.
        this.#read(node)
        this.#pause(node, random.nextInt(700))
        break
      case 4:
        this.#count('stall')
        node.stalledUntil = this.now + random.nextInt(500)
        break
      case 5:
        this.#count('oneWayCut')
        this.#cut.add(`${node.id}>${peer.id}`)
        break
      case 6:
        this.#partition(() => random.nextInt(2) === 0)
        break
      case 9:
      case 10:
        this.#partition((one) => one === node)
        break
      case 7:
        this.#count('connectionLost')
        this.#call(node, (raft, now) => raft.handlePeerLost(peer.id, now))
        break
      default:
        this.#cut.clear()
    }
  }

  #partition(isInside: (node: Node) => boolean): void {
    this.#count('partition')
    const side = new Set(this.#nodes.filter(isInside))
    for (const a of this.#nodes) {
      for (const b of this.#nodes) if (side.has(a) !== side.has(b)) this.#cut.add(`${a.id}>${b.id}`)
    }
  }

  /** Some requests on their way reach the disk, in order, the rest does not; no message leaves. */
  #crash(node: Node): void {
    this.#count('crash')
    const kept = this.#random.nextInt(node.disk.length + 1)
    for (const { request } of node.disk.slice(0, kept)) write(node.image, request)
    node.raft = null
    node.disk = []
    node.leads = null
    node.pausedUntil = 0
    node.transfer = null
  }

  #start(node: Node): void {
    // The engine may have lost what it had not flushed; it is never ahead of what it applied.
    const lost = this.#random.nextInt(node.apply.applied - node.engineDurable + 1)
    const appliedIndex = (node.apply.applied - lost) as LogIndex
    const { recovered } = reconcile(node.image, node.engineBase)
    const { hardState, base = null, entries } = recovered
    node.image.hardState = hardState
    node.image.base = base
    node.image.entries = [...entries]
    node.view = { hardState, base, entries: [...entries] }
    node.apply = new ApplyCheck(appliedIndex, this.options.unappliedBytesMax)
    node.raft = new Raft({
      group: DEFAULT_GROUP,
      self: node.id,
      recovered,
      appliedIndex,
      random: this.#random.split(`${node.id} at ${this.now}`),
      options: this.options,
      now: this.now as MonotonicMs
    })
    this.checks.restarted(node.id, node.image, node.raft.status())
  }

  #heal(): void {
    this.#isFaulty = false
    this.#cut.clear()
    for (const node of this.#nodes) {
      node.pausedUntil = 0
      node.stalledUntil = 0
      if (node.transfer !== null) node.transfer = { ...node.transfer, doneAt: this.now }
      if (node.raft === null) this.#start(node)
      node.appliedWhenHealed = node.apply.applied
    }
    this.#targetIndex = this.checks.committed.length + 3
  }

  #hasConverged(): boolean {
    if (this.checks.committed.length < this.#targetIndex) return false
    const [leader, ...others] = this.#nodes.filter(({ raft }) => raft?.role === 'leader')
    if (leader === undefined || others.length > 0) return false
    const { commitIndex, configuration, configurationIndex } = must(leader.raft, 'core').status()
    if (isJoint(configuration) || configurationIndex > commitIndex) return false
    const members = membersOf(configuration)
    // Voters hold commits back until they have them; a learner may lag, but it comes nearer.
    const isThere = ({ id, apply, appliedWhenHealed }: Node): boolean =>
      !members.includes(id) ||
      apply.applied >= this.#targetIndex ||
      (configuration.learners.includes(id) && apply.applied > appliedWhenHealed)
    return this.#nodes.every(isThere)
  }

  #node(id: ReplicaId): Node {
    return must(
      this.#nodes.find((node) => node.id === id),
      id
    )
  }

  #count(fault: string): void {
    this.faults[fault] = (this.faults[fault] ?? 0) + 1
  }
}

function write(image: Image, request: RaftPersist): void {
  const { hardState, entries } = request
  if (hardState !== null) image.hardState = hardState
  const log = rebased(image, request)
  image.base = log.base
  image.entries = [...log.entries]
  const first = entries[0]
  if (first === undefined) return
  const kept = first.index - (image.base?.index ?? 0) - 1
  image.entries.length = Math.min(image.entries.length, kept)
  image.entries.push(...entries)
}

/** Over the wire and back. */
function copy(message: RaftMessage): RaftMessage {
  const { codec } = raftDeclarations[message.kind] as (typeof raftDeclarations)['vote']
  const bytes = writer()
  codec.write(bytes, toWire(message, storageOf(message.from), storageOf(message.to)) as never)
  return fromWire(codec.read(new ByteReader(bytes.take())), message.from, message.to)
}
