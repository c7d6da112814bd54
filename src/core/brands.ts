/** The types of the identifiers; `ids.ts` makes them. */

declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** `[a-z0-9-]{1,63}`, chosen when the node's certificate is issued; the only name of a node. */
export type NodeId = Brand<string, 'NodeId'>
/** 32 lower-case hex digits, minted once by bootstrap. */
export type ClusterId = Brand<string, 'ClusterId'>
/** A Raft voter or learner: `<nodeId>/<storageId>`; a new data directory is a new replica. */
export type ReplicaId = Brand<string, 'ReplicaId'>
/** 16 lower-case hex digits, created at random with the data directory. */
export type StorageId = Brand<string, 'StorageId'>
/** A consensus group, 0…2^32-1. Group 0 exists in every cluster. */
export type GroupId = Brand<number, 'GroupId'>
export type Term = Brand<number, 'Term'>
export type LogIndex = Brand<number, 'LogIndex'>
/** Rises only by its owner, when it refutes an accusation or starts again. */
export type Incarnation = Brand<number, 'Incarnation'>
/** Who proposes with exactly-once semantics; registered through the log. */
export type ClientId = Brand<string, 'ClientId'>
/** Counts a client's commands, from 1. */
export type Serial = Brand<number, 'Serial'>
/** A distributed transaction; says how old it is (`transaction-id.ts`). */
export type TransactionId = Brand<string, 'TransactionId'>
/** Milliseconds of the process-wide monotonic clock; differences alone mean something. */
export type MonotonicMs = Brand<number, 'MonotonicMs'>
/** Milliseconds since 1970 by the wall clock: display, certificates, log time; never deadlines. */
export type WallMs = Brand<number, 'WallMs'>
