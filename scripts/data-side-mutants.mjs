// Bugs of transactions over groups, of SQL sessions and of what lies between them and the rest, for whole clusters
// to find. Those of the cores alone are in `two-phase-mutants.mjs`; some of them are hunted here as well.
import { twoPhaseMutants } from './two-phase-mutants.mjs'

const twoPhase = 'src/failover/two-phase'
const sessions = 'src/failover/session'

const ofCores = [
  'decision sent before it is logged',
  'client told before the decision is logged',
  'leadership lost while deciding, told as aborted',
  'commit with a vote missing',
  'locks released with the vote',
  'yes voted before the branch is logged',
  'a prepared branch gives up by itself',
  'nobody asks for a decision that does not come',
  'decisions of earlier leaders not taken up'
]

export const dataSideMutants = [
  ...twoPhaseMutants.filter(({ name }) => ofCores.includes(name)),
  {
    name: 'linearizable reads pass by rows of prepared branches',
    file: `${twoPhase}/branch-rows.js`,
    find: 'return this.#prepared.conflictsOf({ readKeys, writeKeys: [] }, null).length > 0;',
    replace: 'return readKeys.length < 0;'
  },
  {
    name: 'plain writes pass by locked rows',
    file: `${twoPhase}/branch-rows.js`,
    find: 'return this.locks !== null && this.locks.blockersOf(rows).length > 0;',
    replace: 'return rows === null;'
  },
  {
    name: 'a command of several groups executed again when it is sent again',
    file: `${twoPhase}/transaction-state.js`,
    find: 'const isNew = client === null || (at.isNew?.(client) ?? true);',
    replace: 'const isNew = true;'
  },
  {
    name: 'orphaned branches of the coordinating group left alone',
    file: `${twoPhase}/coordinator.js`,
    find: 'if (coordinator !== group || this.#open.has(transaction))',
    replace: 'if (coordinator >= 0)'
  },
  {
    name: 'branches of an earlier life not restored from the engine',
    file: `${twoPhase}/group-transactions-driver.js`,
    find: 'TransactionState.restore(this.group, transactionLimits, writes)',
    replace: 'TransactionState.restore(this.group, transactionLimits, [])'
  },
  {
    name: 'a takeover of a session keeps its epoch',
    file: `${sessions}/session-changes.js`,
    find: 'epoch: record.epoch + 1,',
    replace: 'epoch: record.epoch,'
  },
  {
    name: 'a session moved keeps its epoch',
    file: `${sessions}/session-changes.js`,
    find: 'epoch: epoch + 1,\n',
    replace: 'epoch,\n'
  },
  {
    name: 'what a session has seen is not asked for by its reads',
    file: `${sessions}/session-home-driver.js`,
    find: 'const seenIndexOf = (wanted) => session.seenIndexOf(wanted);',
    replace: 'const seenIndexOf = (wanted) => session.seenIndexOf(wanted) * 0;'
  },
  {
    name: 'prepared statements lost with the home',
    file: `${sessions}/session-table.js`,
    find: 'prepared: given.prepared,\n            seenBy',
    replace: 'prepared: [],\n            seenBy'
  },
  {
    name: 'a session that moved stays where it was, too',
    file: `${sessions}/session-changes.js`,
    find: "return refuse(state, 'fenced', record);\n    const taken",
    replace: 'return accept(state, record);\n    const taken'
  }
]
