// Runs the suites that are named, or all, each in a process of its own, and ends with the one line
// `N passed, N failed`. A suite is a program that prints TAP: nothing is loaded into it that watches
// or rewrites its modules, which would take longer than most tests do.
//
// Suites that wait for real processes go two at a time. Beside them two that only compute take what
// they leave of the processors, at a lower priority.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { basename } from 'node:path'

const folder = '.build/suites'
const timedAtOnce = 2
const computingAtOnce = 2
const timeoutMs = 300_000
/** Then it is killed; until then it may say which test did not end. */
const graceMs = 10_000
/** Never more urgent than these tests themselves. */
const niceness = Math.min(getPriority() + 5, 19)
/** What these kinds test is a matter of real time. */
const timed = ['cluster', 'conformance', 'contract', 'unit-admin', 'unit-cli']
/** Those that take longest are not left for the end, where they would run alone. */
const longFirst = ['cluster-demo', 'cluster-netns', 'cluster', 'simulation', 'fuzz', 'contract', '']

const named = process.argv.slice(2)
const suites = named.length > 0 ? named : allSuites()
const waiting = {
  timed: suites.filter(isTimed),
  computing: suites.filter((file) => !isTimed(file))
}
const running = new Map()
const totals = { pass: 0, fail: 0, skip: 0, todo: 0 }
let failedSuites = 0

process.once('SIGINT', () => stop('SIGINT'))
process.once('SIGTERM', () => stop('SIGTERM'))

await runAll()
if (totals.pass === 0) console.error('no test has passed')
const skipped = totals.skip + totals.todo
if (skipped > 0) console.log(`${skipped} skipped`)
console.log(`${totals.pass} passed, ${totals.fail} failed`)
process.exitCode = failedSuites > 0 || totals.pass === 0 ? 1 : 0

function allSuites() {
  const rank = (name) => longFirst.findIndex((kind) => name.startsWith(kind))
  return readdirSync(folder)
    .filter((name) => name.endsWith('.test.js'))
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .map((name) => `${folder}/${name}`)
}

function isTimed(file) {
  const name = basename(file)
  return timed.some((kind) => name.startsWith(kind))
}

/**
 * What computing makes dies young, and next to nothing of so large a space need be moved. Not where
 * memory is what is looked at.
 */
function memoryOf(file) {
  const name = basename(file)
  const isLookedAt = ['fuzz', 'unit-network'].some((kind) => name.startsWith(kind))
  return isTimed(file) || isLookedAt ? [] : ['--max-semi-space-size=64']
}

/** Whenever a suite has ended, others begin. */
function runAll() {
  return new Promise((resolve, reject) => {
    const next = () => {
      for (let file = nextFile(); file !== undefined; file = nextFile()) {
        run(file).then((outcome) => {
          report(basename(file, '.test.js'), outcome)
          next()
        }, reject)
      }
      if (running.size === 0) resolve()
    }
    next()
  })
}

function nextFile() {
  const timedNow = [...running.values()].filter(isTimed).length
  const computingNow = running.size - timedNow
  if (timedNow < timedAtOnce && waiting.timed.length > 0) return waiting.timed.shift()
  return computingNow < computingAtOnce ? waiting.computing.shift() : undefined
}

/** Resolves when the suite has ended, however it did. */
function run(file) {
  const began = performance.now()
  const child = spawn(process.execPath, ['--enable-source-maps', ...memoryOf(file), file], {
    env: { ...process.env, TAP_TIMEOUT: String(timeoutMs / 1_000) },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  running.set(child, file)
  if (!isTimed(file) && child.pid !== undefined) setPriority(child.pid, niceness)
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs + graceMs)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
    })
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      running.delete(child)
      resolve({
        output,
        isOk: code === 0,
        how: signal ?? `status ${code}`,
        ms: performance.now() - began
      })
    })
  })
}

function report(name, { output, isOk, how, ms }) {
  const lines = output.trimEnd().split('\n')
  const counts = countsIn(lines)
  // What ends without having counted its tests has failed, whatever it printed.
  const hasFailed = !isOk || counts === null
  if (hasFailed) failedSuites++
  for (const key of Object.keys(totals)) totals[key] += counts?.[key] ?? 0
  if (hasFailed && !(counts?.fail > 0)) totals.fail++
  const seconds = (ms / 1_000).toFixed(1)
  console.log(
    `${hasFailed ? 'not ok' : 'ok'} - ${name} # ${seconds} s${hasFailed ? `, ${how}` : ''}`
  )
  const isTold = hasFailed ? isNoPass : isComment
  for (const line of lines.filter(isTold)) console.log(`    ${line}`)
}

function countsIn(lines) {
  for (const line of lines.toReversed()) {
    const [, counts] = /^# \{ (total: .*) \}$/.exec(line) ?? []
    if (counts === undefined) continue
    return Object.fromEntries(
      counts.split(', ').map((text) => {
        const [key, count] = text.split(': ')
        return [key, Number(count)]
      })
    )
  }
  return null
}

function isNoPass(line) {
  return !/^\s*ok \d+/.test(line)
}

/** What a test says of itself, and what it was skipped for. */
function isComment(line) {
  return /^\s+# (?!Subtest|time=|\{ total)/.test(line) || /^\s*ok \d+ .*# SKIP/i.test(line)
}

function stop(signal) {
  waiting.timed.length = 0
  waiting.computing.length = 0
  for (const child of running.keys()) child.kill(signal)
}
