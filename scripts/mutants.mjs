// Bugs to plant, by the names of the reliability catalogue: each replaces one text, which must occur
// exactly once in the compiled file, so that none outlives the line that it spoils. Three harnesses hunt
// them: whole clusters (`cluster`), routing alone over fakes (`routing`), and Raft cores alone over messages in any order (`core`). Streams keep
// messages in order, so what only a late or doubled message brings to light is rare in a whole cluster.
import { dataSideMutants } from './data-side-mutants.mjs'

/** What breaks a promise, or overstays it, is rare among random faults: stories tell of each. */
const staleReads = 'test/unit/consensus/raft/stale-reads.test.js'

export const mutants = [
  ...dataSideMutants,
  {
    name: 'term not persisted',
    file: 'src/consensus/raft/replica.js',
    find: 'this.#vote = null;\n        this.persists.noteHardState();',
    replace: 'this.#vote = null;'
  },
  {
    name: 'vote not persisted',
    file: 'src/consensus/raft/raft.js',
    find: '{ term, vote }, log, now',
    replace: '{ term, vote: null }, log, now'
  },
  {
    name: 'vote told before it is durable',
    file: 'src/consensus/raft/elections.js',
    find: 'replica.effects.sendAfterPersist({',
    replace: 'replica.effects.send({'
  },
  {
    name: 'append acknowledged before it is durable',
    file: 'src/consensus/raft/follower.js',
    find: 'this.#replica.effects.sendAfterPersist({',
    replace: 'this.#replica.effects.send({'
  },
  {
    name: 'leader counts what is not durable',
    file: 'src/consensus/raft/leader.js',
    find: 'return this.#replica.persists.durableIndex',
    replace: 'return this.#replica.log.lastIndex'
  },
  {
    name: 'truncation on any overlapping append',
    file: 'src/consensus/raft/raft-log.js',
    find: 'return entries.find((entry) => this.termAt(entry.index) !== entry.term) ?? null',
    replace: 'return entries[0] ?? null'
  },
  {
    name: 'entries of old terms committed by counting',
    file: 'src/consensus/raft/leader.js',
    find: 'if (index <= before || replica.log.termAt(index) !== replica.term)',
    replace: 'if (index <= before)'
  },
  {
    // Reads wait for writes of others: nothing is wrong, it only takes for ever. Cores write all the time.
    name: 'no entry at the start of a term',
    isOfClusters: true,
    file: 'src/consensus/raft/leader.js',
    find: "this.#append(encodeEntryPayload({ kind: 'noop' }))",
    replace: 'void encodeEntryPayload'
  },
  {
    name: 'heartbeat commits beyond the match',
    file: 'src/consensus/raft/leader.js',
    find: 'Math.min(match, commitIndex)',
    replace: 'commitIndex'
  },
  {
    name: 'read index before the first commit of the term',
    file: 'src/consensus/raft/leader.js',
    find: 'if (log.termAt(index) !== term)\n            return;',
    replace: ''
  },
  {
    name: 'reads confirmed by nobody',
    file: 'src/consensus/raft/read-index.js',
    find: "tallyVotes(electorate, round.acks) !== 'won'",
    replace: 'electorate.voters.length === 0'
  },
  {
    name: 'acknowledgements of earlier reads reused',
    file: 'src/consensus/raft/read-index.js',
    find: 'context !== round.context',
    replace: 'context < 0',
    test: staleReads
  },
  {
    // The clock as it was when the core was called last: before a pause.
    name: 'lease read without a look at the clock after it',
    file: 'src/consensus/raft/raft.js',
    find: 'term === this.#replica.term && this.#role.holdsLease(now)',
    replace: 'term === this.#replica.term && this.#role.holdsLease(this.#replica.now)'
  },
  {
    name: 'promises that leases rest on are not kept',
    file: 'src/consensus/raft/replica.js',
    find: 'this.#promisedUntil = until',
    replace: 'void until'
  },
  {
    name: 'lease counted from the confirmation of its round',
    file: 'src/consensus/raft/leader.js',
    find: 'this.#lease.begin(confirmed)',
    replace: 'this.#lease.begin({ ...confirmed, openedAt: this.#replica.now })',
    test: staleReads
  },
  {
    name: 'lease kept while a successor takes over',
    file: 'src/consensus/raft/leader.js',
    find: 'isVoter && !this.#transfer.hasTold',
    replace: 'isVoter',
    test: staleReads
  },
  {
    name: 'promises that leases rest on forgotten at a restart',
    file: 'src/consensus/raft/raft.js',
    find: 'this.#replica.keepForgottenPromise()',
    replace: 'void 0',
    test: staleReads
  },
  {
    name: 'promises that leases rest on forgotten in a later term',
    file: 'src/consensus/raft/replica.js',
    find: 'this.#vote = null;\n        this.persists.noteHardState();',
    replace:
      'this.#vote = null;\n        this.#promisedUntil = -Infinity;\n        this.persists.noteHardState();',
    test: staleReads
  },
  {
    name: 'campaigns in spite of a promise that a lease rests on',
    file: 'src/consensus/raft/follower.js',
    find: 'if (replica.isPromised)',
    replace: 'if (replica.now < 0)',
    test: staleReads
  },
  {
    name: 'log not synced',
    file: 'src/consensus/log/segmented-log-driver.js',
    find: 'await file.writeDurably(',
    replace: 'await file.write('
  },
  {
    name: 'a vote for everybody who asks',
    file: 'src/consensus/raft/elections.js',
    find: "if (replica.vote !== null && replica.vote !== message.from)\n        return 'votedForAnother'",
    replace: ''
  },
  {
    name: 'votes for logs that lack entries',
    file: 'src/consensus/raft/raft-log.js',
    find: 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex)',
    replace: 'return lastTerm >= 0 && lastIndex >= 0'
  },
  {
    name: 'applied twice after a restart',
    file: 'src/consensus/raft/replica.js',
    find: 'this.#emittedIndex = init.appliedIndex',
    replace: 'this.#emittedIndex = 0'
  },
  {
    name: 'votes asked for before the own is durable',
    file: 'src/consensus/raft/candidate.js',
    find: 'replica.effects.sendAfterPersist(',
    replace: 'replica.effects.send('
  },
  {
    name: 'consistency check left out',
    file: 'src/consensus/raft/follower.js',
    find: 'log.termAt(message.prevIndex) !== message.prevTerm',
    replace: 'log.termAt(message.prevIndex) === undefined'
  },
  {
    // A leader's term ends with its connections' order: a late answer of an old term needs a core.
    name: 'append answer of an older term accepted',
    file: 'src/consensus/raft/raft.js',
    find: 'else if (message.term < replica.term) {',
    replace: "else if (message.term < replica.term && message.kind !== 'appendEntriesResponse') {"
  },
  {
    name: 'overwritten entries stay durable',
    file: 'src/consensus/raft/persist-tracker.js',
    find: 'const kept = (from - 1);',
    replace: 'const kept = Infinity;'
  },
  {
    name: 'majority off by one',
    file: 'src/consensus/raft/quorum.js',
    find: 'Math.floor(voterCount / 2) + 1',
    replace: 'Math.ceil(voterCount / 2)'
  },
  {
    name: 'a leader that is removed counts itself',
    file: 'src/consensus/raft/leader.js',
    find: 'quorumValue(replica.configuration, (voter) => this.#matchOf(voter))',
    replace: `quorumValue(replica.isVoter ? replica.configuration : {
            ...replica.configuration,
            voters: [replica.self, ...replica.configuration.voters.slice(1)]
        }, (voter) => this.#matchOf(voter))`
  },
  {
    name: 'learners counted for commits',
    file: 'src/consensus/raft/leader.js',
    find: 'quorumValue(replica.configuration, (voter) => this.#matchOf(voter))',
    replace: `quorumValue({
            ...replica.configuration,
            voters: [...replica.configuration.voters, ...replica.configuration.learners]
        }, (voter) => this.#matchOf(voter))`
  },
  {
    name: 'two changes of the configuration at once',
    file: 'src/consensus/raft/leader.js',
    find: "if (!isConfigurationCommitted)\n            return refuse('changePending');",
    replace: ''
  },
  {
    name: 'a change before an entry of the term is committed',
    file: 'src/consensus/raft/leader.js',
    find: "if (log.termAt(commitIndex) !== term)\n            return refuse('termNotCommitted');",
    replace: ''
  },
  {
    name: 'configuration not rolled back',
    file: 'src/consensus/raft/raft-log.js',
    find: 'this.#configurations.pop();',
    replace: 'break;'
  },
  {
    name: 'commits of joint configurations by the new half alone',
    file: 'src/consensus/raft/quorum.js',
    find: 'if (votersOutgoing.length === 0)\n        return value;',
    replace: 'return value;'
  },
  {
    name: 'votes of joint configurations by the new half alone',
    file: 'src/consensus/raft/quorum.js',
    find: "if (votersOutgoing.length === 0 || tally === 'lost')\n        return tally;",
    replace: 'return tally;'
  },
  {
    name: 'several voters changed in one step',
    file: 'src/consensus/raft/configuration-change.js',
    find: 'differing > 1',
    replace: 'differing > 9'
  },
  {
    name: 'joint configuration never left',
    file: 'src/consensus/raft/leader.js',
    find: 'if (!isJoint(configuration) || !isConfigurationCommitted)',
    replace: 'if (configuration !== null)'
  },
  {
    name: 'whoever an uncommitted configuration leaves out never campaigns',
    file: 'src/consensus/raft/replica.js',
    find: 'return configurationIndex > this.#commitIndex && votesIn(',
    replace: 'return configurationIndex < 0 && votesIn('
  },
  {
    // Programs outside of the cluster alone let their client number their writes.
    name: 'a new serial for each attempt of a write',
    file: 'src/routing/run-driver.js',
    find: 'if (this.#own === null) {',
    replace: 'if (this.#own !== undefined) {'
  },
  {
    name: 'a write in doubt called not executed',
    file: 'src/routing/run-driver.js',
    find: 'if (outcome === Outcomes.Unknown && this.#isWrite)\n            this.#doubt = thrown;',
    replace: ''
  },
  {
    // A bound of memory: whole clusters have no load that comes near it.
    name: 'committed entries handed over without a bound',
    file: 'src/consensus/raft/replica.js',
    find: 'unappliedBytes > this.options.unappliedBytesMax',
    replace: 'unappliedBytes < 0'
  },
  {
    name: 'messages that come twice handled twice',
    file: 'src/network/delivery/reliable-receiver.js',
    find: 'if (sequence < lane.below || lane.entries.has(sequence)) {',
    replace: 'if (sequence < 0) {'
  },
  {
    name: 'messages acknowledged before they are handled',
    file: 'src/network/delivery/reliable-receiver.js',
    find: "lane.entries.set(sequence, { kind: 'running' });",
    replace: "lane.entries.set(sequence, { kind: 'handled' });\n        lane.owed.add(sequence);"
  },
  {
    name: 'messages repeated to the next process of their receiver',
    file: 'src/network/delivery/reliable-sender.js',
    find: "if (delivery.attempts > 0)\n                    this.#giveUp(lane, delivery, 'the receiver started anew');",
    replace: 'delivery.isLost = true;'
  },
  {
    name: 'ordered messages handled as they come',
    file: 'src/network/delivery/reliable-receiver.js',
    find: 'sequence === lane.next && !lane.isBusy',
    replace: 'sequence >= 0'
  },
  {
    name: 'suspicion of oneself never refuted',
    file: 'src/network/membership/rumours.js',
    find: 'this.#state.restate({}, accusation.incarnation + 1, now);',
    replace: ''
  },
  {
    // Raft keeps what an old route could break: only routing itself sees that the fence is gone.
    name: 'terms of routes not compared',
    file: 'src/routing/fence.js',
    find: 'if (term === here.term)',
    replace: 'if (term >= 0)'
  },
  {
    name: 'replayed datagrams believed',
    file: 'src/network/security/datagram-replay-window.js',
    find: 'return !this.#isSet(counter)',
    replace: 'return true'
  },
  {
    name: 'a byte of a decompressed body lost',
    file: 'src/network/mux/receiver.js',
    find: "counters.add('messages_decompressed');",
    replace: "counters.add('messages_decompressed');\n        bytes[bytes.length - 1] = 0;"
  },
  {
    name: 'compressed bodies taken as they are',
    file: 'src/network/mux/receiver.js',
    find: 'return isPacked ? this.#unpack(message) : message',
    replace: 'return message'
  },
  {
    name: 'answers given to the oldest request',
    file: 'src/network/mux/pending-requests.js',
    find: 'return this.#byId.get(id)',
    replace: 'return this.#byId.values().next().value'
  },
  {
    name: 'open connections of the revoked kept',
    file: 'src/network/security/trust-driver.js',
    find: 'this.#tellTaken(one, from);\n        this.#cut();',
    replace: 'this.#tellTaken(one, from);'
  },
  {
    name: 'handshakes of the revoked accepted',
    file: 'src/network/security/trust-driver.js',
    find: 'setJudge(this.judge)',
    replace: 'setJudge(() => null)'
  },
  {
    name: 'revocation lists not compared when a connection opens',
    file: 'src/network/security/security-driver.js',
    find: 'if (answer.lists.length > 0)',
    replace: 'if (answer.lists.length < 0)'
  },
  {
    name: 'a write that was perhaps executed told as not executed',
    file: 'src/routing/run-driver.js',
    find: 'throw this.#indeterminate(thrown);',
    replace: 'throw thrown;'
  },
  {
    name: 'compacted beyond what the engine holds for good',
    file: 'src/consensus/raft/raft.js',
    find: 'Math.min(durableIndex, offered,',
    replace: 'Math.min(appliedIndex, offered,'
  },
  {
    name: 'clients forgotten by the local clock',
    isOfClusters: true,
    file: 'src/consensus/group/applier-driver.js',
    find: 'this.#table.apply(payload.logTime, ',
    replace: 'this.#table.apply(this.#clock.wallNow(), '
  },
  {
    name: 'stale snapshots taken in',
    file: 'src/consensus/raft/raft.js',
    find: 'return index > this.#replica.commitIndex && !(',
    replace: 'return index > 0 && !(',
    // Offers are looked at when they come: this is for what commits while one is fetched.
    test: 'test/unit/consensus/raft/snapshots.test.js'
  },
  {
    name: 'configuration forgotten in a base',
    file: 'src/consensus/raft/raft-log.js',
    find: 'encodeConfiguration(newest.configuration)',
    replace: 'new Uint8Array()'
  },
  {
    name: 'configuration of before kept through a snapshot',
    file: 'src/consensus/raft/raft-log.js',
    find: 'configuration === null ? [] : [{ index: base.configurationIndex, configuration }]',
    replace:
      'this.#configurations.length > 0 ? this.#configurations : configuration === null ? [] : [{ index: base.configurationIndex, configuration }]'
  },
  {
    name: 'log kept where a snapshot contradicts it',
    file: 'src/consensus/raft/replica.js',
    find: 'const replacesLog = this.log.termAt(index) !== term',
    replace: 'const replacesLog = this.log.termAt(index) === undefined'
  },
  {
    name: 'what a snapshot replaced counts as durable',
    file: 'src/consensus/raft/persist-tracker.js',
    find: 'this.noteTruncated((index + 1));',
    replace: ''
  },
  {
    name: 'what a snapshot brought handed over again',
    file: 'src/consensus/raft/replica.js',
    find: 'if (this.#emittedIndex < index)\n            this.#emittedIndex = index;',
    replace: ''
  }
]
