// Bugs that the seeded harnesses must find. Each is a replacement in the built sources; `find` must
// occur exactly once, so that a mutant cannot outlive the line that it spoils.
const raft = 'src/consensus/raft'

export const mutants = [
  {
    name: 'vote not persisted',
    file: `${raft}/replica.js`,
    find: /this\.#vote = candidate;\s+this\.persists\.noteHardState\(\);/,
    replace: 'this.#vote = candidate;'
  },
  {
    name: 'term not persisted',
    file: `${raft}/replica.js`,
    find: /this\.#vote = null;\s+this\.persists\.noteHardState\(\);/,
    replace: 'this.#vote = null;'
  },
  {
    name: 'vote told before it is durable',
    file: `${raft}/elections.js`,
    find: 'replica.effects.sendAfterPersist(',
    replace: 'replica.effects.send('
  },
  {
    name: 'votes asked for before the own is durable',
    file: `${raft}/candidate.js`,
    find: 'replica.effects.sendAfterPersist(',
    replace: 'replica.effects.send('
  },
  {
    name: 'append acknowledged before it is durable',
    file: `${raft}/follower.js`,
    find: 'this.#replica.effects.sendAfterPersist(',
    replace: 'this.#replica.effects.send('
  },
  {
    name: 'truncation by any overlapping append',
    file: `${raft}/follower.js`,
    find: 'log.firstDifferent(message.entries)',
    replace: 'message.entries[0] ?? null'
  },
  {
    name: 'consistency check left out',
    file: `${raft}/follower.js`,
    find: 'log.termAt(message.prevIndex) !== message.prevTerm',
    replace: 'log.termAt(message.prevIndex) === undefined'
  },
  {
    name: 'commit by counting entries of older terms',
    file: `${raft}/leader.js`,
    find: ' || replica.log.termAt(index) !== replica.term',
    replace: ''
  },
  {
    name: 'append answer of an older term accepted',
    file: `${raft}/raft.js`,
    find: 'else if (message.term < replica.term) {',
    replace: "else if (message.term < replica.term && message.kind !== 'appendEntriesResponse') {"
  },
  {
    name: 'commit beyond match on heartbeat',
    file: `${raft}/leader.js`,
    find: 'commitIndex: Math.min(progress.match, commitIndex)',
    replace: 'commitIndex'
  },
  {
    name: 'leader counts itself before its own sync',
    file: `${raft}/leader.js`,
    find: 'return this.#replica.persists.durableIndex;',
    replace: 'return this.#replica.log.lastIndex;'
  },
  {
    name: 'overwritten entries stay durable',
    file: `${raft}/persist-tracker.js`,
    find: 'const kept = (from - 1);',
    replace: 'const kept = Infinity;'
  },
  {
    name: 'read index before the first commit of the term',
    file: `${raft}/leader.js`,
    find: 'log.termAt(commitIndex) !== term || ',
    replace: ''
  },
  {
    name: 'read acknowledgements reused',
    file: `${raft}/read-index.js`,
    find: 'context === this.#round.context',
    replace: 'context >= 0'
  },
  {
    name: 'majority off by one',
    file: `${raft}/quorum.js`,
    find: 'Math.floor(voterCount / 2) + 1',
    replace: 'Math.ceil(voterCount / 2)'
  },
  {
    name: 'vote for a log that is behind',
    file: `${raft}/raft-log.js`,
    find: 'lastTerm > this.lastTerm ||',
    replace: 'true ||'
  },
  {
    name: 'committed entries handed over without a bound',
    file: `${raft}/replica.js`,
    find: 'unappliedBytes > this.options.unappliedBytesMax',
    replace: 'unappliedBytes < 0'
  },
  {
    name: 'applied twice after a restart',
    file: `${raft}/replica.js`,
    find: 'this.#emittedIndex = init.appliedIndex;',
    replace: 'this.#emittedIndex = 0;'
  }
]
