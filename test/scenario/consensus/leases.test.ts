import t from 'tap'
import type { LogIndex, NodeId } from '../../../src/core/ids.js'
import type { Engine } from '../../../src/core/ports/engine.js'
import { TestCluster } from '../../support/consensus-cluster.js'

/** Leases of 80 ms; reads of the engines wait for `gate`. */
async function started() {
  const gate: { open: Promise<void> } = { open: Promise.resolve() }
  const wrap = (engine: Engine): Engine =>
    new Proxy(engine, {
      get(target, name) {
        if (name === 'read') {
          return async (...args: Parameters<Engine['read']>) => {
            const outcome = await target.read(...args)
            await gate.open
            return outcome
          }
        }
        const value = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
    })
  const consensus = { leaseReads: true, leaseClockRatioMax: 1.25 }
  const cluster = new TestCluster({ seed: 3, consensus, wrap })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set k 1')
  await cluster.untilCaughtUp()
  const counted = (name: string) => {
    const { counters } = cluster.node(name).driver
    return {
      rounds: counters.get('read_rounds'),
      leased: counters.get('lease_reads'),
      withheld: counters.get('lease_reads_withheld')
    }
  }
  const read = async (name: string) => {
    const answer = await cluster.group(name).readLinearizable({
      statements: [{ sql: 'get k' }],
      atLeastIndex: 0 as LogIndex,
      deadline: cluster.deadline()
    })
    return answer.results[0]?.rows[0]?.[0]
  }
  const hold = () => {
    let release = () => {}
    gate.open = new Promise((resolve) => {
      release = resolve
    })
    return release
  }
  return { cluster, leader, counted, read, hold }
}

t.test('R-Q04 one round is a lease for the reads after it, followers included', async (t) => {
  const { cluster, leader, counted, read } = await started()
  t.equal(await cluster.clock.settle(read(leader)), '1')
  t.match(counted(leader), { rounds: 1, leased: 0 })
  for (let i = 0; i < 5; i++) t.equal(await cluster.clock.settle(read(leader)), '1')
  t.match(counted(leader), { rounds: 1, leased: 5, withheld: 0 })
  const follower = [...cluster.nodes.keys()].find((name) => name !== leader) as string
  t.equal(await cluster.clock.settle(read(follower)), '1')
  t.match(counted(leader), { rounds: 1, leased: 6 })
  await cluster.clock.advance(200)
  t.equal(await cluster.clock.settle(read(leader)), '1')
  t.match(counted(leader), { rounds: 2, leased: 6, withheld: 0 })
})

t.test('R-Q04 an engine that outlasts the lease has its answer withheld', async (t) => {
  const { cluster, leader, counted, read, hold } = await started()
  await cluster.clock.settle(read(leader))
  const release = hold()
  const slow = read(leader)
  await cluster.clock.advance(30)
  await cluster.written(leader, 'set k 2')
  await cluster.clock.advance(200)
  release()
  t.equal(await cluster.clock.settle(slow), '2', 'it was read again')
  t.match(counted(leader), { rounds: 2, leased: 0, withheld: 1 })
})

t.test('R-Q04 a leader that was deposed meanwhile tells nothing', async (t) => {
  const { cluster, leader, counted, read, hold } = await started()
  await cluster.clock.settle(read(leader))
  const release = hold()
  const slow = read(leader)
  cluster.network.isolate(leader as NodeId)
  await cluster.clock.until(() =>
    [...cluster.nodes.keys()].some((name) => name !== leader && cluster.group(name).isLeader)
  )
  const next = await cluster.untilLeader()
  t.not(next, leader)
  await cluster.written(next, 'set k 2')
  const refused = t.rejects(cluster.clock.settle(slow), { code: /NOT_LEADER|NO_LEADER|TIMEOUT/ })
  release()
  await refused
  t.equal(counted(leader).withheld, 1)
})
