import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { skein } from '../../support/run-skein.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const line = (process: string, type: string, op: string, key: string, value: unknown = null) =>
  `${JSON.stringify({ process, type, op, key, value })}\n`

const sound =
  line('a', 'invoke', 'write', 'r/x', 1) +
  line('a', 'ok', 'write', 'r/x', 1) +
  line('a', 'invoke', 'read', 'r/x') +
  line('a', 'ok', 'read', 'r/x', 1)
const lists =
  line('b', 'invoke', 'append', 'l/x', 1) +
  line('b', 'ok', 'append', 'l/x', 1) +
  line('b', 'invoke', 'read', 'l/x') +
  line('b', 'ok', 'read', 'l/x', [])

async function historyFile(t: Test, text: string): Promise<string> {
  const file = join(await temporaryDirectory(t), 'history.jsonl')
  await writeFile(file, text)
  return file
}

t.test('skein check accepts and rejects by model and keys', async (t) => {
  const file = await historyFile(t, sound + lists)
  t.match(await skein('check', file, '--model', 'register', '--keys', 'r/'), {
    status: 0,
    stdout: 'accepted: 2 operations as register\n'
  })
  const rejected = await skein('check', file, '--model', 'list-append', '--keys', 'l/', '--json')
  t.equal(rejected.status, 1)
  t.match(rejected.stderr, /history\.jsonl is rejected/)
  t.match(JSON.parse(rejected.stdout), {
    ok: false,
    verdict: 'rejected',
    model: 'list-append',
    operations: 2,
    findings: [
      { kind: 'lost_append', key: 'l/x' },
      { kind: 'G-single', needs: 'process' }
    ]
  })
  t.match(await skein('check', file, '--model', 'set', '--keys', 'l/'), {
    status: 1,
    stdout: /rejected: 2 operations as set\n\{"fault":"lost","element":"l\/x\/1"\}/
  })
})

t.test('skein check names the line and the field that are wrong', async (t) => {
  for (const [bad, what] of [
    ['nonsense\n', /line 5: is not JSON/],
    [line('c', 'done', 'read', 'x'), /line 5: type: must be one of invoke, ok, fail, info/],
    [line('c', 'invoke', 'delete', 'x'), /line 5: op: must be one of read, write, cas, append/],
    [line('c', 'ok', 'read', 'x'), /line 5: process: c completes what it never invoked/],
    ['{"process":"c","type":"invoke","op":"read"}\n', /line 5: key: must be/],
    ['{"process":"c","type":"invoke","op":"read","key":"x","tx":{}}\n', /line 5: tx: must be/]
  ] as const) {
    const file = await historyFile(t, sound + bad)
    t.match(await skein('check', file, '--model', 'register'), { status: 2, stderr: what })
  }
  const file = await historyFile(t, sound)
  const unopened = await historyFile(t, lists)
  t.match(await skein('check', unopened, '--model', 'bank'), {
    status: 2,
    stderr: /nobody opens accounts/
  })
  t.match(await skein('check', file), { status: 2, stderr: /--model/ })
  t.match(await skein('check', file, '--model', 'queue'), { status: 2, stderr: /list-append/ })
  t.match(await skein('check', 'nowhere.jsonl', '--model', 'set'), {
    status: 2,
    stderr: /cannot read nowhere\.jsonl/
  })
})
