/** What a user installs: the packed tarball, imported by name from a folder that is not ours. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../../../', import.meta.url))

function run(cwd: string, command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8' })
}

/** Packs the project and lays it beside its dependencies, as an install would. */
function install(directory: string): { readonly app: string; readonly files: readonly string[] } {
  run(root, 'npm', 'run', '--silent', 'build')
  const options = ['--ignore-scripts', '--silent', '--json', '--pack-destination', directory]
  const packed = run(root, 'npm', 'pack', ...options)
  const { filename, files } = packedIn(JSON.parse(packed))
  const app = join(directory, 'app')
  const modules = join(app, 'node_modules')
  const own = join(modules, 'skein')
  mkdirSync(own, { recursive: true })
  const tarball = join(directory, filename)
  run(app, 'tar', '-xzf', tarball, '-C', own, '--strip-components', '1')
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
  return { app, files: files.map(({ path }) => path) }
}

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

/** npm answers a list, or since version 11.5 a record by package name. */
function packedIn(answer: readonly Packed[] | Readonly<Record<string, Packed>>): Packed {
  const [only] = Object.values(answer)
  if (only === undefined) throw new Error('npm packed nothing')
  return only
}

t.test('the packed tarball can be imported by each entry point', async (t) => {
  const { app, files } = install(t.testdir())
  t.same(
    files.filter((file) => /^(src|lib|test|bench|scripts)\//.test(file)),
    [],
    'compiled files alone are published'
  )
  for (const wanted of ['LICENSE', 'README.md', 'CHANGELOG.md', 'dist/types/lib/index.d.ts']) {
    t.ok(files.includes(wanted), `${wanted} is published`)
  }

  writeFileSync(
    join(app, 'main.mjs'),
    `import * as skein from 'skein'
     import { sqliteEngine } from 'skein/sqlite'
     import { SkeinClient } from 'skein/client'
     import { createAdminServer } from 'skein/admin'
     import { checkLinearizability } from 'skein/testing'
     const { ClusterNetworkManager, version } = skein
     const entries = [
       ClusterNetworkManager, sqliteEngine, createAdminServer, checkLinearizability, SkeinClient
     ]
     const misnamed = Object.keys(skein).filter(
       (name) => skein[name]?.prototype instanceof Error && skein[name].name !== name
     )
     const kinds = entries.map((one) => typeof one)
     console.log(JSON.stringify({ version, kinds, misnamed }))`
  )
  const printed = run(app, 'node', 'main.mjs')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  t.same(JSON.parse(printed), {
    version,
    kinds: Array(5).fill('function'),
    misnamed: []
  })

  const help = run(app, 'node', 'node_modules/skein/dist/main.js', '--help')
  t.match(help, /demo/)
})
