/**
 * Distributed transactions between their coordinator and the leaders of the groups that take part:
 * numbers 0x0500 to 0x05FF, append only. A participant never guesses: it votes, waits for the
 * decision, asks for it when it does not come, and acknowledges what it did.
 */
import { messageSizeBytesMax } from '../../core/limits.js'
import { Priorities } from '../../core/ports/messenger.js'
import {
  bool,
  bytes,
  declareRequest,
  groupId,
  list,
  oneOf,
  openStruct,
  term,
  text,
  u32,
  u64
} from '../../wire/index.js'

/** Groups that one transaction may touch. */
export const transactionGroupsMax = 64
/** Work of one branch; leaves room for everything else in the message. */
export const branchBytesMax = messageSizeBytesMax - 65_536

/** Chosen by the coordinator, unique in the cluster. */
const transactionId = text(64)
const branch = { transaction: transactionId, group: groupId }
/** Of the coordinating group: which of its leaders asked. Tag 1 wherever it stands. */
const epoch = [1, term] as const

/** What a participant can say of its branch. Append only. */
export const branchStates = ['unknown', 'prepared', 'committed', 'aborted'] as const
/** What a coordinator can say of a transaction. Append only. */
export const decisions = ['undecided', 'commit', 'abort'] as const

export const transactionPrepare = declareRequest({
  number: 0x0500,
  name: 'TransactionPrepare',
  answerName: 'TransactionVote',
  priority: Priorities.High,
  body: openStruct(
    {
      ...branch,
      /** Where the decision is kept, and asked for. */
      coordinator: groupId,
      groups: list(groupId, transactionGroupsMax),
      data: bytes(branchBytesMax),
      /** After it a branch that has not voted must not vote yes any more. */
      timeoutMs: u32
    },
    {
      epoch,
      /** Counts the transactions of the epoch: what is older than a dropped end is not prepared. */
      sequence: [2, u64],
      /** Every other lock of the transaction is held: one that only reads may let its rows go. */
      mayDropOut: [3, bool]
    }
  ),
  answer: openStruct(
    { vote: oneOf(['yes', 'no', 'readOnly']), reason: text(512) },
    {
      epoch,
      /** What the statements answered. */
      results: [2, bytes(branchBytesMax)],
      /** Of the entry that prepared the branch, in its own group. */
      index: [3, u64]
    }
  ),
  about: 'Asks a participant to make its branch durable and to promise that it can be committed.'
})

export const transactionCommit = declareRequest({
  number: 0x0502,
  name: 'TransactionCommit',
  answerName: 'TransactionCommitAck',
  priority: Priorities.Critical,
  body: openStruct(branch, {
    epoch,
    /** Log index of the decision in the coordinator's group. */
    index: [2, u64],
    coordinator: [3, groupId]
  }),
  answer: openStruct({ state: oneOf(branchStates) }),
  about: 'Tells a participant that the decision is commit; sent until it is acknowledged.'
})

export const transactionAbort = declareRequest({
  number: 0x0504,
  name: 'TransactionAbort',
  answerName: 'TransactionAbortAck',
  priority: Priorities.Critical,
  body: openStruct({ ...branch, reason: text(512) }, { coordinator: [1, groupId] }),
  answer: openStruct({ state: oneOf(branchStates) }),
  about: 'Tells a participant that the decision is abort; sent until it is acknowledged.'
})

export const decisionQuery = declareRequest({
  number: 0x0506,
  name: 'DecisionQuery',
  priority: Priorities.High,
  body: openStruct(branch, {
    epoch,
    /** The group that asks; `group` is the coordinator's. */
    asker: [2, groupId]
  }),
  answer: openStruct({
    decision: oneOf(decisions),
    /** Log index of the decision in the coordinator's group; 0: undecided. */
    index: u64
  }),
  about: 'A participant in doubt asks what was decided.'
})

export const transactionResolve = declareRequest({
  number: 0x0508,
  name: 'TransactionResolve',
  priority: Priorities.High,
  body: openStruct({
    ...branch,
    outcome: oneOf(['commit', 'abort', 'forget']),
    by: text(128),
    reason: text(512)
  }),
  answer: openStruct({ state: oneOf(branchStates) }),
  about: 'An operator ends a branch by hand, or has read how it ended.'
})

/** What is asked of decisions that are to wait. Append only. */
export const holdSteps = ['hold', 'confirm', 'release'] as const

export const decisionHold = declareRequest({
  number: 0x050a,
  name: 'DecisionHold',
  priority: Priorities.High,
  body: openStruct({
    /** Whose leader is asked. */
    group: groupId,
    /** Of whoever takes the backup. */
    token: text(32),
    step: oneOf(holdSteps),
    /** Of `hold`: when it ends by itself. */
    holdMs: u32
  }),
  answer: openStruct({}),
  about: 'A backup is taken: nothing is decided until it has looked at every group.'
})

/** Everything this file declares, for the catalogue. */
export const transactionMessages = [
  transactionPrepare,
  transactionCommit,
  transactionAbort,
  decisionQuery,
  transactionResolve,
  decisionHold
] as const
