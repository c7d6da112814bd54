/**
 * X-41: no text from outside makes a regular expression take more than linear time.
 *
 * Time is not compared with time. Every pattern that stands in the sources is found by scanning
 * them, so that a new one cannot be forgotten, and then
 * - is proved linear: an analysis of its automaton (`support/patterns/ambiguity.ts`) refuses each
 *   pattern whose repetition can be read in more ways than one; it errs towards refusing;
 * - is fed near-matches of a mebibyte, made from its own loops, in a process that is killed if it
 *   does not end: a quadratic pattern takes 2^39 steps, some ten minutes, and a linear one moments.
 * Both are shown to find planted patterns of either kind.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ambiguityOf } from '../../support/patterns/ambiguity.js'
import { findPatterns } from '../../support/patterns/find.js'
import { loadTree, treeOf } from '../../tidy/source-tree.js'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const feeder = fileURLToPath(new URL('../../support/patterns/feed.js', import.meta.url))
const { patterns, doubtful, built } = findPatterns(loadTree(root, ['src', 'lib']))
const textLength = 1024 * 1024
const killedAfterMs = 120_000

function feed(given: readonly RegExp[], length: number, timeout: number) {
  const argument = JSON.stringify(given.map(({ source, flags }) => [source, flags]))
  const child = spawn(process.execPath, [feeder, argument, String(length)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout,
    killSignal: 'SIGKILL'
  })
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += chunk
  })
  return new Promise<{ code: number | null; said: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, said }))
  )
}

t.test('X-41 every pattern of the sources is found', async (t) => {
  t.ok(patterns.length > 60, `${patterns.length} patterns`)
  t.same(doubtful, [], 'each slash is understood')
  // The simulator's own, for lines of its own stack.
  t.same(built, ['src/simulation/run-guard.ts'], 'none is made from texts')
  const planted = treeOf({
    'src/core/a.ts': "const a = b / c\nconst r = /a[/]+\\/$/gi // /no/\nconst s = '/no/'\n",
    'src/core/b.ts': "const a = new RegExp('^' + b)\n"
  })
  t.match(findPatterns(planted), {
    patterns: [{ where: 'src/core/a.ts:2', pattern: /a[/]+\/$/gi }],
    doubtful: [],
    built: ['src/core/b.ts']
  })
  const hidden = treeOf({ 'src/core/a.ts': 'if (a) /b/.test(c)\n' })
  t.same(findPatterns(hidden).doubtful.length, 2, 'what is overlooked is noticed')
})

t.test('X-41 every pattern of the sources takes linear time', async (t) => {
  for (const { where, pattern } of patterns) {
    t.equal(ambiguityOf(pattern), null, `${where}: ${pattern}`)
  }
})

t.test('X-41 patterns that take longer are found, and only these', async (t) => {
  for (const [pattern, pump] of [
    [/^(a+)+$/, 'a'],
    [/^(a*)*b/, 'a'],
    [/^(a|a)*$/, 'a'],
    [/^(a|ab|b)*$/, 'ab'],
    [/^(?:a?b?)*c/, 'ab'],
    [/^(\w+\s?)*$/, '0'],
    [/\s+$/, '\t'],
    [/\/+$/, '/'],
    [/#.*$/, '#'],
    [/a.*b/, 'a'],
    [/^\d+\d+$/, '0'],
    [/^[a-z]{1,63}[a-z]{1,63}$/, 'a'],
    [/^([a-z]{2,9}){3,}$/, 'aa'],
    [/^(?=(a+)+b)/, 'a'],
    [/x*y/gi, 'X']
  ] as const) {
    t.match(ambiguityOf(pattern), { pump: /./ }, `${pattern}: ${JSON.stringify(pump)}`)
  }
  for (const pattern of [
    /^a+$/,
    /a+/,
    /#.*/,
    /^(?:a|b)*$/,
    /^(?:ab|ac)*$/,
    /^[^/]+\/[^/]+$/,
    /^data: (.*)$/m,
    /(?:\d|\.\d)(?:[eE][+-]?\d|[A-Za-z0-9_.])*/y,
    /^"(?:[^"]|"")*"$/,
    /^0+(?=.)/,
    /-----A-----[^-]+-----B-----/g
  ]) {
    t.equal(ambiguityOf(pattern), null, String(pattern))
  }
  for (const pattern of [/(a)\1/, /(?<=a)b/, /\p{L}/u]) {
    t.throws(() => ambiguityOf(pattern), /not understood/, 'what is not understood is no pass')
  }
})

t.test('X-41 every pattern of the sources survives near-matches of a mebibyte', async (t) => {
  const distinct = new Map(patterns.map(({ pattern }) => [String(pattern), pattern]))
  const { code, said } = await feed([...distinct.values()], textLength, killedAfterMs)
  const lines = said.trim().split('\n')
  t.equal(code, 0, `not killed at ${lines.at(-1)}`)
  t.equal(lines.length, distinct.size + 1)
  t.match(lines.at(-1), /^fed [1-9]\d{7,}$/)
})

t.test('X-41 a pattern that never ends is killed', async (t) => {
  const { code, said } = await feed([/^a$/, /^(a+)+$/], textLength, 2_000)
  t.equal(code, null)
  t.same(said.trim().split('\n'), ['/^a$/', '/^(a+)+$/'])
})
