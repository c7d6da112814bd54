/** Polices the tree: every rule runs on the sources as they are and on a planted violation. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { checkErrors, checkLimits } from './tidy/document-rules.js'
import { checkCycles, checkImports } from './tidy/import-rules.js'
import { rootExports } from './tidy/root-exports.js'
import { type Finding, loadTree, type SourceTree, sourceFile, treeOf } from './tidy/source-tree.js'
import { checkCalls, checkLeftovers, checkSizes } from './tidy/text-rules.js'
import {
  checkDeadFiles,
  checkExports,
  checkMessages,
  checkSuites,
  type DeclaredMessage,
  exportedNames
} from './tidy/tree-rules.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const tree = loadTree(root, ['src', 'lib', 'test', 'bench', 'examples', 'docs', 'scripts'])

const told = (findings: readonly Finding[]): string[] =>
  findings.map(({ file, line, message }) => `${file}:${line}: ${message}`)

/** A planted fault is found in its file and line, and nothing else is. */
function found(t: Test, findings: readonly Finding[], where: string, what: RegExp): void {
  t.equal(findings.length, 1, `one finding: ${told(findings).join('; ')}`)
  t.equal(`${findings[0]?.file}:${findings[0]?.line}`, where)
  t.match(findings[0]?.message, what)
}

type Rule = (tree: SourceTree) => readonly Finding[]

const rules: Readonly<Record<string, Rule>> = {
  'imports follow the tables': checkImports,
  'no import goes round in a circle': checkCycles,
  'no banned call': checkCalls,
  'nothing is left over': checkLeftovers,
  'files, functions and lines keep their size': checkSizes,
  'each error code has one class and one row': checkErrors,
  'each bound has one row': checkLimits,
  'no file is dead': checkDeadFiles,
  'each test file is in a suite': (tree) => checkSuites(tree, suitesText()),
  'the published names are the listed ones': (tree) =>
    checkExports(tree, 'lib/index.ts', rootExports)
}

for (const [name, rule] of Object.entries(rules)) {
  t.test(name, async (t) => t.same(told(rule(tree)), []))
}

t.test('message numbers are unique and in the range of their room', async (t) => {
  t.same(told(checkMessages(await declaredMessages(), tree)), [])
})

t.test('each page is linked from the front page or from the house', async (t) => {
  const front = readFileSync(join(root, 'README.md'), 'utf8')
  const house = readFileSync(join(root, 'docs/ARCHITECTURE.md'), 'utf8')
  const pages = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
  t.ok(pages.length > 0)
  const isLinked = (page: string) => front.includes(`(docs/${page})`) || house.includes(`(${page})`)
  t.same(
    pages.filter((page) => !isLinked(page)),
    []
  )
})

function suitesText(): string {
  const folder = join(root, '.build/suites')
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n')
}

/** What the built messages.js of every room declare; a message named in two modules counts once. */
async function declaredMessages(): Promise<DeclaredMessage[]> {
  const seen = new Map<object, DeclaredMessage>()
  const add = (file: string, value: unknown) => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    if (!('number' in value && 'kind' in value && 'codec' in value && 'name' in value)) return
    seen.set(value, { file, name: String(value.name), number: Number(value.number) })
    if ('response' in value) add(file, value.response)
  }
  for (const { path } of tree.values()) {
    if (!/^src\/.*[/-]messages\.ts$/.test(path)) continue
    const built = pathToFileURL(join(root, '.build', path.replace(/\.ts$/, '.js')))
    const module: Record<string, unknown> = await import(built.href)
    for (const value of Object.values(module)) {
      for (const one of Array.isArray(value) ? value : [value]) add(path, one)
    }
  }
  return [...seen.values()]
}

t.test('a planted import is found', async (t) => {
  const plant = (from: string, line: string, ...others: string[]) =>
    checkImports(
      treeOf({ [from]: `// head\n${line}\n`, ...Object.fromEntries(others.map((o) => [o, ''])) })
    )
  const net = 'src/network/index.ts'
  const raft = 'src/consensus/raft.ts'
  found(t, plant(raft, "import { a } from '../network/index.js'", net), `${raft}:2`, /may not/)
  found(t, plant(raft, "import type { A } from '../network/index.js'", net), `${raft}:2`, /may not/)
  found(
    t,
    plant(raft, "const a = await import('../network/index.js')", net),
    `${raft}:2`,
    /may not/
  )
  found(t, plant(raft, "new URL('../network/index.js', x)", net), `${raft}:2`, /may not/)
  found(
    t,
    plant('src/failover/plan.ts', "import { R } from '../consensus/raft.js'", raft),
    'src/failover/plan.ts:2',
    /index\.ts only/
  )
  found(
    t,
    plant('src/routing/a.ts', "import { C } from '../control/index.js'", 'src/control/index.ts'),
    'src/routing/a.ts:2',
    /types of control/
  )
  t.same(
    plant(
      'src/routing/a.ts',
      "import { type C } from '../control/index.js'",
      'src/control/index.ts'
    ),
    []
  )
  const engine = 'src/engine/index.ts'
  found(
    t,
    plant('lib/index.ts', "export { e } from '../src/engine/index.js'", engine),
    'lib/index.ts:2',
    /sqlite/
  )
  t.same(plant('lib/sqlite.ts', "export { e } from '../src/engine/index.js'", engine), [])
  found(
    t,
    plant('src/wire/codec.ts', "import { x } from './missing.js'"),
    'src/wire/codec.ts:2',
    /exist/
  )
  t.same(plant(raft, "export const a = () =>\n  b('taken from')"), [], 'a text is none')
  t.same(plant(raft, "// import { a } from '../network/index.js'", net), [], 'a comment is none')
})

t.test('a planted package is found, by kind of file', async (t) => {
  const plant = (from: string, specifier: string) =>
    checkImports(treeOf({ [from]: `import { a } from '${specifier}'\n` }))
  found(t, plant('src/consensus/raft.ts', 'node:fs'), 'src/consensus/raft.ts:1', /pure file/)
  found(
    t,
    plant('src/consensus/raft-driver.ts', 'node:fs'),
    'src/consensus/raft-driver.ts:1',
    /driver/
  )
  found(t, plant('src/core/a-socket.ts', 'node:net'), 'src/core/a-socket.ts:1', /of core/)
  found(t, plant('src/core/ids.ts', 'zod'), 'src/core/ids.ts:1', /port/)
  found(t, plant('lib/index.ts', 'node:fs'), 'lib/index.ts:1', /no logic/)
  found(t, plant('src/cli/main.ts', 'tsyringe'), 'src/cli/main.ts:1', /composition/)
  for (const [path, specifier] of [
    ['src/network/pool/tls-socket.ts', 'node:tls'],
    ['src/core/config/schema.ts', 'zod'],
    ['src/runtime/clock.ts', 'node:perf_hooks'],
    ['src/admin/server.ts', 'fastify'],
    ['lib/composition.ts', 'tsyringe']
  ] as const) {
    t.same(plant(path, specifier), [], `${path} may import ${specifier}`)
  }
})

t.test('a planted circle is found', async (t) => {
  const files = treeOf({
    'src/core/a.ts': "import { b } from './b.js'\n",
    'src/core/b.ts': "import { a } from './a.js'\n"
  })
  found(t, checkCycles(files), 'src/core/a.ts:1', /cycle of files: .*a\.ts → .*b\.ts → .*a\.ts/)
  const rooms = treeOf({
    'src/core/a.ts': "import type { b } from '../wire/b.js'\n",
    'src/core/c.ts': '',
    'src/wire/b.ts': "import type { c } from '../core/c.js'\n"
  })
  found(t, checkCycles(rooms), 'core:1', /cycle of rooms: core → wire → core/)
  const types = treeOf({
    'src/core/a.ts': "import type { b } from './b.js'\n",
    'src/core/b.ts': "import { a } from './a.js'\n"
  })
  t.same(checkCycles(types), [], 'types of one room may know one another')
})

t.test('a planted call is found and its replacement named', async (t) => {
  const plant = (path: string, line: string) => checkCalls(treeOf({ [path]: `\n${line}\n` }))
  const pure = 'src/consensus/raft.ts'
  for (const [path, line, instead] of [
    [pure, 'const a = Date.now()', /Clock/],
    ['src/network/a-driver.ts', '  const a = new Date()', /wallNow/],
    [pure, '  return Math.random()', /Random/],
    ['src/network/a-driver.ts', '  setTimeout(f, 5)', /DeadlineTimer/],
    [pure, '  async act() {}', /driver/],
    [pure, '  await act()', /driver/],
    [pure, '  const home = process.env', /port/],
    ['src/network/a-driver.ts', '  const b = Buffer.alloc(3)', /Uint8Array/],
    ['src/network/a-driver.ts', '  AbortSignal.timeout(5)', /DeadlineTimer/],
    ['src/network/a-driver.ts', '  await Promise.race([a, b])', /DeadlineTimer/],
    [pure, '  crypto.randomUUID()', /Crypto/],
    ['src/admin/a.ts', '  console.log(1)', /Logger/],
    ['src/runtime/a.ts', '  process.exit(1)', /coded error/],
    [pure, 'let counter = 0', /owns the state/],
    [pure, 'const seen = new Map<string, number>()', /owns the state/],
    [pure, 'export enum A {', /const object/],
    [pure, 'function f(a: any) {}', /unknown/],
    ['test/unit/core/a.test.ts', '  const b = a as any', /unknown/],
    ['src/core/index.ts', "export * from './a.js'", /by hand/],
    [pure, 'export default f', /named/],
    ['test/unit/core/a.test.ts', '  setTimeout(resolve, 50)', /virtual time/],
    [pure, '  new BoundedQueue<string>(64)', /named bound/],
    [pure, 'export const a = declareMessage({', /messages\.ts/]
  ] as const) {
    found(t, plant(path, line), `${path}:2`, instead)
  }
  t.same(plant(pure, "// Date.now()\nconst a = 'Math.random()' + `process.x`"), [])
  t.same(plant('src/cli/main.ts', '  setTimeout(f, 5)\n  console.log(Date.now())'), [])
  t.same(plant(pure, '  this.clock.setTimeout(a)\n  this.process.run()'), [])
})

t.test('a planted leftover is found', async (t) => {
  for (const text of [`// ${'TO'}${'DO'} later`, `// @ts-${'ignore'}`, `// see /${'work'}/notes`]) {
    found(t, checkLeftovers(treeOf({ 'src/core/a.ts': `\n${text}\n` })), 'src/core/a.ts:2', /left/)
  }
})

t.test('a planted excess of size is found', async (t) => {
  const path = 'src/core/a.ts'
  const lines = (count: number) => '  act()\n'.repeat(count)
  const plant = (text: string) => checkSizes(treeOf({ [path]: text }))
  t.same(plant(lines(800)), [])
  found(t, plant(lines(801)), `${path}:801`, /801 lines/)
  found(t, plant(`\n// ${'a'.repeat(98)}\n`), `${path}:2`, /101 columns/)
  t.same(plant(`function a() {\n${lines(68)}}\n`), [])
  found(t, plant(`function a() {\n${lines(69)}}\n`), `${path}:1`, /71 lines/)
  found(t, plant(`\nfunction a(\n  b: B\n): { c: C } {\n${lines(67)}}\n`), `${path}:2`, /71 lines/)
  found(t, plant(`const a = (b) => {\n${lines(69)}}\n`), `${path}:1`, /71 lines/)
  found(t, plant(`class A {\n  #b(): Promise<B> {\n${lines(69)}  }\n}\n`), `${path}:2`, /71 lines/)
  t.same(plant(`if (\n  a\n) {\n${lines(80)}}\n`), [], 'a block is no function')
})

t.test('a planted disagreement about errors is found', async (t) => {
  const source = (codes: string, ...classes: string[]) =>
    `export const errorCodes = [${codes}] as const\n${classes.join('\n')}\n`
  const errorClass = (code: string, body = '') =>
    `export class E extends SkeinError {\n  readonly code = '${code}'\n${body}}`
  const row = (code: string, retryable = 'no') => `| \`${code}\` | means | ${retryable} | do |\n`
  const plant = (errors: string, page: string) =>
    checkErrors(treeOf({ 'src/core/errors.ts': errors, 'docs/errors.md': page }))
  const at = 'src/core/errors.ts'
  t.same(plant(source("'ERR_A'", errorClass('ERR_A')), row('ERR_A')), [])
  found(t, plant(source("'ERR_A'"), row('ERR_A')), `${at}:1`, /0 classes/)
  found(t, plant(source("'ERR_A'", errorClass('ERR_A')), ''), `${at}:1`, /0 rows/)
  found(
    t,
    plant(source("'ERR_A'", errorClass('ERR_A'), errorClass('ERR_B')), row('ERR_A')),
    `${at}:5`,
    /ERR_B is not in the tuple/
  )
  found(
    t,
    plant(source("'ERR_A'", errorClass('ERR_A')), `${row('ERR_A')}${row('ERR_C')}`),
    'docs/errors.md:2',
    /ERR_C is not/
  )
  found(
    t,
    plant(source("'ERR_A'", errorClass('ERR_A', '  retryable = true\n')), row('ERR_A')),
    `${at}:1`,
    /says retryable no/
  )
})

t.test('a planted bound without a row is found', async (t) => {
  const schema =
    'export const pool = z.strictObject({\n  queueLengthMax: count(1, 9),\n  waitMs: ms(1)\n})\n'
  const row = (name: string) => `| \`${name}\` | pool | 1 | items | refused | none |\n`
  const plant = (page: string, code = '') =>
    checkLimits(
      treeOf({
        'src/core/config/pool-fields.ts': schema,
        'src/network/a.ts': code,
        'docs/limits.md': page
      })
    )
  t.same(plant(row('pool.queueLengthMax')), [])
  found(t, plant(''), 'src/core/config/pool-fields.ts:2', /pool.queueLengthMax has 0 rows/)
  found(
    t,
    plant(row('pool.queueLengthMax'), 'const retriesMax = 3\n'),
    'src/network/a.ts:1',
    /retriesMax has 0 rows/
  )
  found(t, plant(row('pool.queueLengthMax') + row('pool.gone')), 'docs/limits.md:2', /not in the/)
  found(
    t,
    plant('| `pool.queueLengthMax` | pool | 1 | items | | none |\n'),
    'docs/limits.md:1',
    /six filled/
  )
})

t.test('a planted dead file, lost test and unlisted name are found', async (t) => {
  const dead = treeOf({ 'src/core/a.ts': '', 'src/core/index.ts': '' })
  found(t, checkDeadFiles(dead), 'src/core/a.ts:1', /dead/)
  const worker = { 'src/core/a.ts': '', 'lib/b.ts': "new URL('../src/core/a.js', here)" }
  t.same(checkDeadFiles(treeOf(worker)), [], 'a worker is named in a string')
  const lost = treeOf({ 'test/unit/core/a.test.ts': '', 'test/unit/core/b.test.ts': '' })
  const suites = "await import('../test/unit/core/a.test.js')"
  found(t, checkSuites(lost, suites), 'test/unit/core/b.test.ts:1', /suite/)
  const face = treeOf({ 'lib/index.ts': "export { a, type B as C } from './a.js'\n" })
  t.same(exportedNames(face, 'lib/index.ts'), ['C', 'a'])
  found(t, checkExports(face, 'lib/index.ts', ['a']), 'lib/index.ts:1', /C is published/)
  found(
    t,
    checkExports(face, 'lib/index.ts', ['C', 'a', 'd']),
    'test/tidy/root-exports.ts:1',
    /d is/
  )
})

t.test('a planted message number is found', async (t) => {
  const file = 'src/routing/messages.ts'
  const texts = treeOf({ [file]: "\n  name: 'Ask',\n  name: 'Tell',\n" })
  const ask = { file, name: 'Ask', number: 0x0300 }
  t.same(checkMessages([ask, { file, name: 'AskResponse', number: 0x0301 }], texts), [])
  found(
    t,
    checkMessages([ask, { file, name: 'Tell', number: 0x0300 }], texts),
    `${file}:3`,
    /0x0300/
  )
  found(t, checkMessages([{ ...ask, number: 0x0200 }], texts), `${file}:2`, /range of consensus/)
})

t.test('strings, templates, comments and expressions are told apart', async (t) => {
  const hole = '$'
  const text = [
    `const a = \`x${hole}{b({ c: '}' })}y\` // d`,
    `const e = /[/'"]/.test(f) /* g`,
    " */ + 'h'\n"
  ].join('\n')
  const { code, uncommented } = sourceFile('src/core/a.ts', text)
  t.equal(code.length, text.length)
  t.equal(code.split('\n').length, text.split('\n').length)
  t.match(code, /b\(\{ c: '.' \}\)/)
  t.notMatch(code, /x|y|d|g|h'/)
  t.match(uncommented, /'h'/)
  t.notMatch(uncommented, /\/\/ d|g/)
})
