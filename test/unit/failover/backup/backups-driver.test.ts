import t, { type Test } from 'tap'
import type { PlacementView } from '../../../../src/core/cluster-control.js'
import { BackpressureError, NotLeaderError } from '../../../../src/core/errors.js'
import type { ClusterId, GroupId, LogIndex, NodeId, Term } from '../../../../src/core/ids.js'
import { silentLogger } from '../../../../src/core/ports/logger.js'
import {
  type BackedGroup,
  BackupsDriver,
  backupAttemptsMax,
  backupKeepMs
} from '../../../../src/failover/backup/backups-driver.js'
import { nodeCrypto } from '../../../../src/runtime/node-crypto.js'
import { VirtualClock } from '../../../support/virtual-clock.js'

const content = Uint8Array.of(1, 2, 3, 4)
const groupsOf = (count: number) => Array.from({ length: count }, (_, id) => id as GroupId)

interface Script {
  /** Called with each step, such as `hold 1` or `pin 0`; what it throws, the step does. */
  onStep(step: string): void
  placement?: () => PlacementView
}

function world(t: Test, count: number, script: Partial<Script> = {}) {
  const clock = new VirtualClock()
  const steps: string[] = []
  const open = new Set<string>()
  const note = (step: string) => {
    steps.push(step)
    script.onStep?.(step)
  }
  const placed: PlacementView = {
    version: 1,
    groups: groupsOf(count).map((group) => ({ group, voters: ['a' as NodeId], leader: null })),
    tables: []
  }
  const group = (id: GroupId): BackedGroup => ({
    group: id,
    term: () => 2 as Term,
    logNow: () => 900,
    begin: async () => {
      note(`begin ${id}`)
      open.add(`start ${id}`)
      return {
        pin: async () => note(`pin ${id}`),
        copy: async () => {
          note(`copy ${id}`)
          open.delete(`start ${id}`)
          open.add(`copy ${id}`)
          const description = {
            index: (10 + id) as LogIndex,
            format: 1,
            sizeBytes: content.length,
            sha256: new Uint8Array(32)
          }
          return {
            description,
            read: async (offset, length) => content.slice(offset, offset + length),
            close: async () => void open.delete(`copy ${id}`)
          }
        },
        abandon: async () => void open.delete(`start ${id}`)
      }
    }
  })
  const backups = new BackupsDriver(
    {
      clock,
      crypto: nodeCrypto(),
      logger: silentLogger,
      groups: () => groupsOf(count).map(group),
      clusterId: () => 'c'.repeat(32) as ClusterId,
      placement: async () => script.placement?.() ?? placed,
      versions: async () => ({ clusterVersion: 1, minVersion: 1 }),
      hold: async (id, { step }) => note(`${step} ${id}`)
    },
    { nodeId: 'a' as NodeId, clusterName: 'flock', software: '0.1.0' }
  )
  t.teardown(() => backups.stop())
  return { backups, clock, steps, open, placed }
}

t.test('groups are pinned while all hold, and copied afterwards', async (t) => {
  const { backups, steps } = world(t, 2)
  const backup = await backups.take()
  t.match(backup, {
    clusterName: 'flock',
    groups: [
      { group: 0, index: 10, term: 2, logTime: 900, sizeBytes: 4 },
      { group: 1, index: 11 }
    ]
  })
  const kinds = steps.map((step) => step.split(' ')[0])
  t.same(kinds, [
    ...['begin', 'begin', 'hold', 'hold', 'pin', 'pin', 'confirm', 'confirm'],
    ...['release', 'release', 'copy', 'copy']
  ])
})

t.test('of one group nothing need be held', async (t) => {
  const { backups, steps } = world(t, 1)
  await backups.take()
  t.same(steps, ['begin 0', 'pin 0', 'copy 0'])
})

t.test('parts are read within their bounds, until it is ended', async (t) => {
  const { backups, open } = world(t, 1)
  const { id } = await backups.take()
  const read = (offset: number, lengthBytes: number, group = 0) =>
    backups.read(id, { group: group as GroupId, offset, lengthBytes })
  t.same(await read(1, 2), Uint8Array.of(2, 3))
  t.same(await read(3, 9), Uint8Array.of(4))
  t.same(await read(4, 1), new Uint8Array(0))
  await t.rejects(read(5, 1), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  await t.rejects(read(0, 2 ** 21), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  await t.rejects(read(0, 1, 1), { code: 'ERR_SKEIN_NOT_FOUND' })
  await t.rejects(backups.take(), { code: 'ERR_SKEIN_BACKPRESSURE' })
  await backups.end('another')
  t.equal(open.size, 1)
  const counted = { backups_taken: 1, backup_bytes_copied: 4, backup_bytes_read: 3 }
  t.match(backups.counters.snapshot(), { ...counted, backup_bytes_kept: 4 })
  await backups.end(id)
  t.equal(open.size, 0)
  t.equal(backups.counters.get('backup_bytes_kept'), 0)
  await t.rejects(read(0, 1), { code: 'ERR_SKEIN_NOT_FOUND' })
  await backups.take()
})

t.test('nobody reads of it: it goes', async (t) => {
  const { backups, clock, open } = world(t, 1)
  const { id } = await backups.take()
  await clock.advance(backupKeepMs - 1)
  await backups.read(id, { group: 0 as GroupId, offset: 0, lengthBytes: 1 })
  await clock.advance(backupKeepMs - 1)
  t.equal(open.size, 1, 'it was read')
  await clock.advance(2)
  t.equal(open.size, 0)
})

t.test('a leader that is lost makes it begin anew, some times', async (t) => {
  let lost = 1
  const one = world(t, 2, {
    onStep(step) {
      if (step === 'confirm 1' && lost-- > 0) throw new NotLeaderError('gone')
    }
  })
  await one.backups.take()
  t.equal(one.steps.filter((step) => step === 'begin 0').length, 2)
  t.same([...one.open].sort(), ['copy 0', 'copy 1'], 'the first ones were given up')
  for (const failing of ['hold 1', 'pin 0', 'confirm 0', 'copy 1', 'begin 1']) {
    const { backups, steps, open } = world(t, 2, {
      onStep(step) {
        if (step === failing) throw new BackpressureError('no')
      }
    })
    await t.rejects(backups.take(), { code: 'ERR_SKEIN_BACKUP_FAILED' }, failing)
    t.equal(steps.filter((step) => step === 'begin 0').length, backupAttemptsMax)
    t.equal(open.size, 0, `nothing is left after ${failing}`)
    const releases = steps.filter((step) => step === 'release 0').length
    t.equal(releases, failing === 'begin 1' ? 0 : backupAttemptsMax)
  }
})

t.test('tables that are spread meanwhile make it begin anew', async (t) => {
  const { placed } = world(t, 2)
  let asked = 0
  const { backups, steps } = world(t, 2, {
    placement: () => ({ ...placed, version: asked++ === 0 ? 1 : 2 })
  })
  await backups.take()
  t.equal(steps.filter((step) => step === 'begin 0').length, 2)
})

t.test('a node without a replica of a group takes none', async (t) => {
  const { placed } = world(t, 3)
  const { backups } = world(t, 2, { placement: () => placed })
  await t.rejects(backups.take(), {
    code: 'ERR_SKEIN_NOT_FOUND',
    message: /group 2 has no replica on this node/
  })
})
