// Bugs to plant in two-phase commit, by the mutation list of reliability. Each replaces one text, which must occur exactly
// once in the compiled file. What a second guard makes harmless is held by unit tests instead. `npm run simulate:two-phase-mutants` hunts them with seeded runs and the crash matrix.
const room = 'src/failover/two-phase'
export const twoPhaseMutants = [
  {
    name: 'decision sent before it is logged',
    file: `${room}/coordinator.js`,
    find: "open.phase = 'deciding';\n",
    replace: `open.phase = 'deciding';
        for (const [to, { vote }] of open.votes) {
            if (to === this.#options.group || vote !== 'yes') continue;
            this.#effects.send({ kind: 'commit', to, transaction: open.plan.transaction, epoch: this.#epoch, decidedAt: 1 });
        }
`
  },
  {
    name: 'client told before the decision is logged',
    file: `${room}/coordinator.js`,
    find: "open.phase = 'deciding';\n",
    replace: "this.#finish(open, 'committed', '');\n"
  },
  {
    name: 'forgotten before all have acknowledged',
    file: `${room}/coordinator.js`,
    find: 'pending.every((one) => acknowledged.groups.has(one))',
    replace: 'pending.some((one) => (acknowledged.groups.add(one), true))'
  },
  {
    name: 'abort presumed at once of what is unknown',
    file: `${room}/coordinator.js`,
    find: "this.#fence(transaction, [asker], 'no decision was made');",
    replace: "return { decision: 'abort', index: 0 };"
  },
  {
    name: 'abort presumed of a branch that is prepared and undecided',
    file: `${room}/coordinator.js`,
    find: 'if (!this.#open.has(transaction))',
    replace:
      "if (this.#view.branch(transaction)) return { decision: 'abort', index: 0 };\n        else if (!this.#open.has(transaction))"
  },
  {
    name: 'a deciding transaction ended by its time',
    file: `${room}/coordinator.js`,
    find: "if (open.phase === 'deciding')\n                continue;",
    replace: ''
  },
  {
    name: 'leadership lost while deciding, told as aborted',
    file: `${room}/coordinator.js`,
    find: "isUnknown ? 'unknown' : 'aborted'",
    replace: "'aborted'"
  },
  {
    name: 'commit with a vote missing',
    file: `${room}/coordinator.js`,
    find: 'else if (open.votes.size === open.groups.length) {\n            this.#decide(open);\n        }\n        else if (open.votes.size === open.asked.size',
    replace:
      'else if (open.votes.size >= open.groups.length - 1) {\n            this.#decide(open);\n        }\n        else if (open.votes.size === open.asked.size'
  },
  {
    name: 'locks released with the vote',
    file: `${room}/participant.js`,
    find: 'this.#locks.hold(transaction, branch.locks);\n            this.#doubt(branch, branch.coordinator, now);\n        }\n        else if',
    replace:
      'this.#release(transaction);\n            this.#doubt(branch, branch.coordinator, now);\n        }\n        else if'
  },
  {
    name: 'locks of prepared branches not taken up by the next leader',
    file: `${room}/participant.js`,
    find: 'this.#locks.hold(branch.transaction, branch.locks);',
    replace: ''
  },
  {
    name: 'no tombstone of an abort',
    file: `${room}/transaction-state.js`,
    find: 'put(writes, this.#ends.put(end));\n        return end;',
    replace:
      "if (branch !== undefined || outcome === 'committed')\n            put(writes, this.#ends.put(end));\n        return end;"
  },
  {
    name: 'yes voted before the branch is logged',
    file: `${room}/participant.js`,
    find: "preparing.phase = 'proposed';",
    replace:
      "preparing.phase = 'proposed';\n        this.#vote(request, { epoch, vote: 'yes', reason: '', results: planned.results });"
  },
  {
    name: 'a prepared branch gives up by itself',
    file: `${room}/participant.js`,
    find: "this.#effects.send({ kind: 'query', to, transaction, epoch });",
    replace: "this.#propose({ kind: 'abort', transaction, reason: 'tired' });"
  },
  {
    name: 'nobody asks for a decision that does not come',
    file: `${room}/participant.js`,
    find: "this.#effects.send({ kind: 'query', to, transaction, epoch });",
    replace: ''
  },
  {
    name: 'decisions of earlier leaders not taken up',
    file: `${room}/coordinator.js`,
    find: 'for (const { transaction } of this.#view.decisions())\n            this.#drive(transaction);',
    replace: ''
  },
  {
    name: 'a branch whose end was dropped is prepared again',
    file: `${room}/ends.js`,
    find: 'return mark !== undefined && !isNewer({ epoch, sequence }, mark);',
    replace: 'return false;'
  },
  {
    name: 'readers let their rows go before the last lock is taken',
    file: `${room}/coordinator.js`,
    find: 'if (branch !== last)\n                this.#ask(open, branch, logNow);',
    replace: 'this.#ask(open, branch, logNow);'
  },
  {
    name: 'orphaned branches of the coordinating group left alone',
    file: `${room}/coordinator.js`,
    find: 'if (coordinator !== group || this.#open.has(transaction))',
    replace: 'if (coordinator >= 0)'
  }
]
