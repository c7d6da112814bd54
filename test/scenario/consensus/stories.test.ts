/**
 * The stories in `stories/`, played on pure Raft cores: the transcript must be the one in the file.
 * `UPDATE_SCENARIOS=1` writes the files anew; the change is then read as a diff.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { playStory } from '../../support/raft/story-runner.js'

const folder = fileURLToPath(
  new URL('../../../../test/scenario/consensus/stories/', import.meta.url)
)
const isUpdate = process.env.UPDATE_SCENARIOS === '1'

for (const file of readdirSync(folder).sort()) {
  const path = join(folder, file)
  const text = readFileSync(path, 'utf8')
  const title = text.split('\n')[0]?.replace(/^# /, '') ?? file
  t.test(`${file}: ${title}`, async (t) => {
    const told = playStory(text)
    if (isUpdate) writeFileSync(path, told)
    t.match(told, /^ {2}\S/m, 'something happens')
    t.same((isUpdate ? told : text).split('\n'), told.split('\n'))
  })
}
