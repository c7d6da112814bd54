// Writes the test entry files that tap runs: one process per folder of the fast kinds, where starting
// a process costs more than the tests in it, and one process per file of the kinds that open sockets,
// start processes or run for long. `npm test -- .build/suites/unit-core.test.js` runs one of them.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = '.build/test'
const out = '.build/suites'
const groupedByFolder = ['unit', 'contract', 'scenario', 'simulation']

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })

for (const entry of readdirSync(root, { withFileTypes: true }).sort(byName)) {
  if (entry.isDirectory() && groupedByFolder.includes(entry.name)) groupFolders(entry.name)
  else if (entry.isDirectory()) separateFiles(entry.name, testFilesUnder(join(root, entry.name)))
  else if (entry.name.endsWith('.test.js')) separateFiles('', [entry.name])
}

function groupFolders(kind) {
  for (const area of readdirSync(join(root, kind), { withFileTypes: true }).sort(byName)) {
    if (area.isDirectory()) {
      const files = testFilesUnder(join(root, kind, area.name))
      if (files.length > 0)
        writeSuite(
          `${kind}-${area.name}`,
          files.map((f) => `${kind}/${area.name}/${f}`)
        )
    } else if (area.name.endsWith('.test.js')) {
      writeSuite(`${kind}-${area.name.slice(0, -'.test.js'.length)}`, [`${kind}/${area.name}`])
    }
  }
}

function separateFiles(kind, files) {
  for (const file of files) {
    const name = file.slice(0, -'.test.js'.length).replaceAll('/', '-')
    writeSuite(kind ? `${kind}-${name}` : name, [kind ? `${kind}/${file}` : file])
  }
}

function writeSuite(name, files) {
  const lines = files.map((file) => `await import('../test/${file}')`)
  writeFileSync(join(out, `${name}.test.js`), `${lines.join('\n')}\n`)
}

function testFilesUnder(folder) {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((file) => file.endsWith('.test.js'))
    .sort()
}

function byName(a, b) {
  return a.name < b.name ? -1 : 1
}
