/** The names that `lib/index.ts` publishes. A change here is a change of the contract. */
export const rootExports: readonly string[] = []
