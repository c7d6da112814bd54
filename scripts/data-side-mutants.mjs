// Bugs of transactions over groups, of SQL sessions and of what lies between them and the rest, for whole clusters
// to find. Those of the cores alone are in `two-phase-mutants.mjs`; some of them are hunted here as well. Left to it are
// two that something else makes good in a whole cluster: a command told as aborted when leadership is lost is sent again
// under its number, and an orphaned branch ends when another group asks for the decision.
import { twoPhaseMutants } from './two-phase-mutants.mjs'

const twoPhase = 'src/failover/two-phase'
const sessions = 'src/failover/session'

/** Of the cores, and the seeds of whole clusters that showed them. */
const ofCores = {
  'decision sent before it is logged': seedOf(1012),
  'client told before the decision is logged': seedOf(1006),
  'commit with a vote missing': seedOf(1012),
  'locks released with the vote': seedOf(1012),
  'yes voted before the branch is logged': seedOf(1012),
  'a prepared branch gives up by itself': seedOf(1012),
  'nobody asks for a decision that does not come': seedOf(1012),
  'decisions of earlier leaders not taken up': seedOf(1012)
}

export const dataSideMutants = [
  ...twoPhaseMutants
    .filter(({ name }) => name in ofCores)
    .map((mutant) => ({ ...mutant, shownBy: ofCores[mutant.name] })),
  {
    name: 'linearizable reads pass by rows of prepared branches',
    shownBy: seedOf(1015),
    file: `${twoPhase}/branch-rows.js`,
    find: 'return blockers.length > 0;',
    replace: 'return blockers.length < 0;'
  },
  {
    name: 'plain writes pass by locked rows',
    shownBy: seedOf(1012),
    file: `${twoPhase}/branch-rows.js`,
    find: 'return this.locks !== null && this.locks.blockersOf(rows).length > 0;',
    replace: 'return rows === null;'
  },
  {
    // Who begins it asks the client table first, and joins the attempt that is under way: what the log says then is
    // the second line, which no cluster comes to.
    name: 'a command of several groups executed again when it is sent again',
    test: 'test/unit/failover/two-phase/transaction-state.test.js',
    file: `${twoPhase}/transaction-state.js`,
    find: 'const isNew = client === null || (at.isNew?.(client) ?? true);',
    replace: 'const isNew = true;'
  },
  {
    name: 'a fault told before what it met is committed',
    test: 'test/scenario/consensus/refusals.test.js',
    file: 'src/consensus/group/batch-planner-driver.js',
    find: 'gathered.faulty.push({ callers, error });',
    replace: 'for (const { caller } of callers) caller.reject(error);'
  },
  {
    name: 'a fault of one who leads no more told all the same',
    test: 'test/scenario/consensus/refusals.test.js',
    file: 'src/consensus/group/group-driver.js',
    find: 'const confirm = (deadline) => reads.confirmedIndex(deadline)',
    replace: 'const confirm = (deadline) => Promise.resolve(deadline)'
  },
  {
    name: 'a fault of a write told while what it met may be changed already',
    test: 'test/scenario/transactions/own-writes.test.js',
    file: 'src/consensus/group/batch-planner-driver.js',
    find: 'return this.#rows.isPreparedUpTo(metAt);',
    replace: 'return this.#rows.isPreparedUpTo(-1);'
  },
  {
    name: 'a fault of a branch told while what it met may be changed already',
    test: 'test/scenario/transactions/own-writes.test.js',
    file: `${twoPhase}/group-transactions-driver.js`,
    find: 'new BranchFaults(() => this.rows.prepared())',
    replace: 'new BranchFaults(() => [])'
  },
  {
    name: 'branches of an earlier life not restored from the engine',
    shownBy: seedOf(1012),
    file: `${twoPhase}/group-transactions-driver.js`,
    find: 'TransactionState.restore(this.group, transactionLimits, writes)',
    replace: 'TransactionState.restore(this.group, transactionLimits, [])'
  },
  {
    name: 'a takeover of a session keeps its epoch',
    shownBy: seedOf(1002),
    file: `${sessions}/session-changes.js`,
    find: 'epoch: record.epoch + 1,',
    replace: 'epoch: record.epoch,'
  },
  {
    name: 'a session moved keeps its epoch',
    shownBy: seedOf(1002),
    file: `${sessions}/session-changes.js`,
    find: 'epoch: epoch + 1,\n',
    replace: 'epoch,\n'
  },
  {
    // A session's reads run at its home, which was told the index with the answer to its write: no cluster of the first
    // seeds had a home so far behind.
    name: 'what a session has seen is not asked for by its reads',
    test: 'test/unit/failover/session/session-moves.test.js',
    file: `${sessions}/session-home-driver.js`,
    find: 'const seenIndexOf = (wanted) => session.seenIndexOf(wanted);',
    replace: 'const seenIndexOf = (wanted) => session.seenIndexOf(wanted) * 0;'
  },
  {
    name: 'prepared statements lost with the home',
    shownBy: seedOf(1002),
    file: `${sessions}/session-table.js`,
    find: 'prepared: given.prepared,\n            seenBy',
    replace: 'prepared: [],\n            seenBy'
  },
  {
    // A take that comes late meets a program that has long been at home elsewhere, and asks nobody else.
    name: 'a session that moved stays where it was, too',
    test: 'test/unit/failover/session/session-changes.test.js',
    file: `${sessions}/session-changes.js`,
    find: "return refuse(state, 'fenced', record);\n    const taken",
    replace: 'return accept(state, record);\n    const taken'
  }
]

/** A small cluster, for a short time: a few seconds of a processor's. */
function seedOf(seed) {
  return { seed, nodes: 3, seconds: 10 }
}
