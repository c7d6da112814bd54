import type { GroupId } from './ids.js'

/** Groups that the statements of one request may go to. */
export const requestBranchesMax = 64

/** The statements of one request that go to one group, by their places in it. */
export interface RequestBranch {
  readonly group: GroupId
  readonly statements: readonly number[]
  /** They change nothing. */
  readonly reads: boolean
}
