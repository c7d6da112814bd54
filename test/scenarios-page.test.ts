/** `docs/scenarios.md` says which test proves what: the files are there, and name the scenario. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))
const rows = readFileSync(`${root}docs/scenarios.md`, 'utf8')
  .split('\n')
  .filter((line) => /^\| (?:R-[A-Z]|[DJLMSTX]-)\d\d \|/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))

t.test('each scenario has one row, with a proof that names it or a reason', async (t) => {
  t.ok(rows.length > 140, `${rows.length} rows`)
  t.equal(new Set(rows.map(([, id]) => id)).size, rows.length)
  for (const [, id = '', , proof = ''] of rows) {
    const files = [...proof.matchAll(/`([\w/.-]+\.(?:ts|txt))`/g)].map(([, file]) => file)
    if (files.length === 0) t.match(proof, /^later: \S/, id)
    for (const file of files) {
      const path = `${root}test/${file}`
      t.ok(existsSync(path) && readFileSync(path, 'utf8').includes(id), `${id} in ${file}`)
    }
  }
})
