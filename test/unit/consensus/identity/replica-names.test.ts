import t from 'tap'
import { ReplicaNames, replicaNamesMax } from '../../../../src/consensus/identity/replica-names.js'
import { type NodeId, replicaIdOf, type StorageId } from '../../../../src/core/index.js'

const storageOf = (i: number) => i.toString(16).padStart(16, '0') as StorageId

t.test('names are cut and joined, also after a node has another storage', async (t) => {
  const names = new ReplicaNames()
  const node = 'a-1' as NodeId
  for (const i of [1, 2, 1, 1, 3]) {
    const storage = storageOf(i)
    const replica = names.replicaOf(node, storage)
    t.equal(replica, `a-1/${storage}`)
    t.same(names.partsOf(replica), { replica, node, storage })
    t.equal(names.partsOf(replica), names.partsOf(replicaIdOf(node, storage)), 'remembered')
  }
})

t.test('what is remembered is bounded, and right behind the bound', async (t) => {
  const names = new ReplicaNames()
  for (let i = 0; i < 3 * replicaNamesMax; i++) {
    const node = `n-${i}` as NodeId
    const replica = names.replicaOf(node, storageOf(i))
    if (names.partsOf(replica).storage !== storageOf(i)) t.fail(`${replica} was cut wrongly`)
    if (names.size > 2 * replicaNamesMax) t.fail(`${names.size} replicas remembered`)
  }
  t.equal(names.replicaOf('n-0' as NodeId, storageOf(7)), `n-0/${storageOf(7)}`)
})
