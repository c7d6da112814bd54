import t from 'tap'
import { encodeEntryPayload } from '../../../src/consensus/entry.js'
import { encodePayload } from '../../../src/consensus/group/group-payload.js'
import { manifestDirectory } from '../../../src/consensus/group/parts-manifest-driver.js'
import { identityFile } from '../../../src/consensus/identity/identity-driver.js'
import { SegmentedLog } from '../../../src/consensus/log/segmented-log-driver.js'
import { controlImageFile } from '../../../src/control/control-engine-driver.js'
import type {
  Disk,
  Engine,
  EngineRestore,
  GroupId,
  LogBase,
  LogEntry,
  LogIndex,
  PersistRequest,
  ReplicaId,
  SnapshotDescription,
  SystemWrite,
  Term
} from '../../../src/core/index.js'
import { toTransactionId } from '../../../src/core/transaction-id.js'
import { encodeChanges, type LoggedChange } from '../../../src/failover/two-phase/changes.js'
import { MemoryDisk } from '../../support/memory-disk.js'
import { crashingDisk } from '../../torture/crash-points/crash-disk.js'
import { crashingObserver } from '../../torture/crash-points/crash-observer.js'
import {
  armedText,
  type CrashPoint,
  CrashPoints,
  crashPointNames,
  parseArmed
} from '../../torture/crash-points/crash-points.js'

const group = 1 as GroupId
const term = 1 as Term
const replica = 'a/0123456789abcdef' as ReplicaId
const transaction = toTransactionId('000000000001-0000000000000001')
const at = (index: number) => index as LogIndex
const atOnce = (callback: () => void) => callback()
const bytes = (length: number) => new Uint8Array(length).fill(7)

/** Of `main.ts`, which wraps the facade. */
const elsewhere: readonly CrashPoint[] = ['client_answer.before', 'client_answer.after']

t.test('J-06 a point is hit so often as it was told, and no other one', async (t) => {
  const died: CrashPoint[] = []
  const points = new CrashPoints((point) => died.push(point), atOnce)
  points.hit('apply.after')
  points.arm(parseArmed(armedText({ point: 'apply.after', hits: 2 })))
  points.hit('apply.after')
  points.hit('apply.before')
  t.same(died, [])
  points.hit('apply.after')
  t.same(died, ['apply.after'])
  points.hit('apply.after')
  t.equal(died.length, 1, 'once')
  points.arm({ point: 'apply.after', hits: 1 })
  points.arm(null)
  points.hit('apply.after')
  t.equal(died.length, 1, 'it was told to live')
  for (const text of ['apply.between:1', 'apply.after', 'apply.after:x']) {
    t.throws(() => parseArmed(text), RangeError, text)
  }
})

t.test('J-06 R-P16 each point lies somewhere on the way of what becomes durable', async (t) => {
  for (const point of crashPointNames) {
    if (elsewhere.includes(point)) continue
    const died: CrashPoint[] = []
    const waiting: (() => void)[] = []
    const points = new CrashPoints(
      (one) => died.push(one),
      (callback) => waiting.push(callback)
    )
    points.arm({ point, hits: 1 })
    await live(points, () => {
      for (const callback of waiting.splice(0)) callback()
    })
    t.same(died, [point])
  }
})

t.test('J-06 half of a frame is durable where a node dies in its midst', async (t) => {
  const memory = new MemoryDisk()
  const points = new CrashPoints(() => {
    throw new Error('died')
  }, atOnce)
  const log = openLog(crashingDisk(memory, points))
  await log.open()
  await log.persist([request({ entries: [entryOf(1, bytes(100))] })])
  const [name = ''] = memory.files.keys()
  const before = memory.files.get(name)?.length ?? 0
  points.arm({ point: 'log_frame.half', hits: 1 })
  await t.rejects(log.persist([request({ entries: [entryOf(2, bytes(100))] })]))
  const torn = (memory.files.get(name)?.length ?? 0) - before
  t.ok(torn > 20 && torn < 100, `${torn} bytes of the frame`)
  const { tornBytes, groups } = await openLog(memory).open()
  t.equal(tornBytes, torn)
  t.equal(groups.get(group)?.entries.length, 1)
})

/** Everything that a node comes by, once; `pass`: a moment passes. */
async function live(points: CrashPoints, pass: () => void): Promise<void> {
  const disk = crashingDisk(new MemoryDisk(), points)
  await replaced(disk, identityFile, '')
  await replaced(disk, `${manifestDirectory}/1`, manifestDirectory)
  await replaced(disk, controlImageFile, 'control')
  await keepLog(disk)
  const observer = crashingObserver(points)
  for (const asked of requests()) {
    observer.onPersist(asked)
    observer.onPersisted(asked)
  }
  const message = { group, from: replica, to: replica, term }
  observer.onSend({ ...message, kind: 'voteResponse', granted: true })
  observer.onSend({ ...message, kind: 'appendEntriesResponse', rejected: false, index: at(1) })
  const engine = observer.watched?.(group, fakeEngine(pass)) as Engine
  await engine.apply([], transactionWrites, at(1))
  await engine.flush()
  await (await engine.beginSnapshot?.())?.copy()
  const restore = await engine.restore?.({} as SnapshotDescription)
  await restore?.write(0, bytes(1))
  await restore?.finish([])
  pass()
}

async function replaced(disk: Disk, path: string, directory: string): Promise<void> {
  const file = await disk.open(`${path}.new`)
  await file.write(0, [bytes(8)])
  await file.sync()
  await disk.rename(`${path}.new`, path)
  await disk.syncDirectory(directory)
}

const openLog = (disk: Disk) => new SegmentedLog({ disk }, { directory: 'log', segmentBytes: 256 })

/** Frames, a new segment, one that nothing needs any more, and a second opening. */
async function keepLog(disk: Disk): Promise<void> {
  const log = openLog(disk)
  await log.open()
  for (let index = 1; index <= 4; index++) {
    await log.persist([request({ entries: [entryOf(index, bytes(200))] })])
  }
  await log.persist([request({ base: { base: base(3), replacesLog: false } })])
  await log.close()
  await openLog(disk).open()
}

const request = (parts: Partial<PersistRequest>): PersistRequest => ({
  group,
  hardState: null,
  base: null,
  entries: [],
  ...parts
})

const entryOf = (index: number, payload: Uint8Array): LogEntry => ({
  index: at(index),
  term,
  payload
})

const base = (index: number): LogBase => ({
  index: at(index),
  term,
  configurationIndex: at(1),
  configuration: bytes(4)
})

function requests(): PersistRequest[] {
  const changes: LoggedChange[] = [
    {
      kind: 'prepare',
      transaction,
      epoch: term,
      sequence: 1,
      coordinator: group,
      groups: [],
      expiresAt: 1,
      locks: { readKeys: [], writeKeys: [] },
      command: null,
      kept: null
    },
    {
      kind: 'decide',
      transaction,
      epoch: term,
      expiresAt: 1,
      groups: [],
      client: null,
      result: null
    }
  ]
  const ofTransactions = encodePayload({
    kind: 'system',
    logTime: 1,
    limits: { clientsMax: 1, clientIdleTimeoutMs: 1 },
    section: 'transactions',
    bytes: encodeChanges(changes)
  })
  const payload = encodeEntryPayload({ kind: 'batch', bytes: ofTransactions })
  return [
    request({ hardState: { term, vote: replica } }),
    request({ entries: [entryOf(1, payload)] }),
    request({ base: { base: base(1), replacesLog: false } }),
    request({ base: { base: base(1), replacesLog: true } })
  ]
}

const transactionWrites: SystemWrite[] = [
  { key: `transaction/branch/${transaction}`, value: bytes(1) },
  { key: `transaction/decision/${transaction}`, value: bytes(1) },
  { key: `transaction/branch/other`, value: null }
]

/** As much of an engine as dies. */
function fakeEngine(pass: () => void): Engine {
  const restore: EngineRestore = {
    write: async () => {},
    finish: async () => {
      pass()
      return { appliedIndex: at(1), durableIndex: at(1) }
    },
    abandon: async () => {}
  }
  const engine: Partial<Engine> = {
    apply: async () => {},
    flush: async () => at(1),
    beginSnapshot: async () => ({
      pin: async () => {},
      copy: async () => ({}) as never,
      abandon: async () => {}
    }),
    restore: async () => restore
  }
  return engine as Engine
}
