import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeDirectory } from '../../../src/runtime/make-directory.js'

t.test('makes what is missing, for its owner alone, and takes what is there', async (t) => {
  const path = join(t.testdir(), 'a', 'b', 'c')
  await makeDirectory(path)
  await makeDirectory(path)
  t.equal(statSync(path).mode & 0o777, 0o700)
})

t.test('several at once do not disturb each other', async (t) => {
  const root = t.testdir()
  const names = Array.from({ length: 8 }, (_, i) => join(root, 'x', 'y', String(i % 2)))
  await Promise.all(names.map(makeDirectory))
  t.ok(names.every((name) => existsSync(name)))
})

t.test('ends with an error where nothing can be made', { timeout: 10_000 }, async (t) => {
  const file = join(t.testdir({ file: 'text' }), 'file', 'below', 'it')
  await t.rejects(makeDirectory(file), { code: 'ENOTDIR' })
  if (existsSync('/proc/self')) await t.rejects(makeDirectory('/proc/nothing/here'), Error)
})
