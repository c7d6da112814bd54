import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { NodeDisk } from '../../../src/runtime/index.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

type Tap = { teardown(handler: () => unknown): void }

const runtime = new URL('../../../src/runtime/index.js', import.meta.url).href
const holderSource = `
  import { NodeDisk } from ${JSON.stringify(runtime)}
  const disk = new NodeDisk(process.argv[1])
  try {
    await disk.lock('lock')
    console.log('held')
    setInterval(() => {}, 1000)
  } catch (error) {
    console.log(error.code)
  }`

/** Another process that takes the lock; says `held` or a code. */
async function holder(t: Tap, root: string): Promise<{ child: ChildProcess; said: string }> {
  const args = ['--input-type=module', '-e', holderSource, root]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const said = await new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).once('line', resolve)
  })
  return { child, said }
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  await gone
}

const inUse = { code: 'ERR_SKEIN_DATA_DIRECTORY_IN_USE' }

t.test('R-P13 another process is kept out, and its death by SIGKILL lets in', async (t) => {
  const root = await temporaryDirectory(t)
  const disk = new NodeDisk(root)
  const { child, said } = await holder(t, root)
  t.equal(said, 'held')
  await t.rejects(disk.lock('lock'), { ...inUse, message: new RegExp(`process ${child.pid}`) })
  await kill(child, 'SIGKILL')
  const lock = await disk.lock('lock')
  t.equal((await holder(t, root)).said, inUse.code)
  await lock.release()
  t.same(await readdir(join(root, 'lock')), [], 'nothing is left behind')
})

t.test('a stopped holder holds', async (t) => {
  const root = await temporaryDirectory(t)
  const { child } = await holder(t, root)
  child.kill('SIGSTOP')
  await t.rejects(new NodeDisk(root).lock('lock'), inUse)
  await kill(child, 'SIGKILL')
  await (await new NodeDisk(root).lock('lock')).release()
})

t.test('of many claimants at once one gets it', async (t) => {
  const root = await temporaryDirectory(t)
  const claims = await Promise.allSettled(
    Array.from({ length: 12 }, () => new NodeDisk(root).lock('lock'))
  )
  const held = claims.filter((claim) => claim.status === 'fulfilled')
  t.equal(held.length, 1)
  for (const claim of held) await claim.value.release()
})

t.test('a long path does not matter', async (t) => {
  const root = join(await temporaryDirectory(t), 'x'.repeat(120), 'y'.repeat(120))
  await mkdir(root, { recursive: true })
  const lock = await new NodeDisk(root).lock('lock')
  await t.rejects(new NodeDisk(root).lock('lock'), inUse)
  await lock.release()
  await (await new NodeDisk(root).lock('lock')).release()
})
