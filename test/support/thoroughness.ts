/**
 * How much of what is searched at random or by strides a run of the tests looks at: `npm test` a
 * part, `npm run test:all` everything. What a test must see does not depend on it.
 */
export const looksAtAll = process.env.TEST_ALL === '1'

/** Of `all` seeds, inputs or trials those for this run: each of them, or one in `oneIn`. */
export function someOf(all: number, oneIn = 4): number {
  return looksAtAll ? all : Math.ceil(all / oneIn)
}
