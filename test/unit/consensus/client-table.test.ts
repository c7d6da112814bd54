import t from 'tap'
import { ClientTable, type TaggedAnswer } from '../../../src/consensus/client-table.js'
import type { ClientId, LogIndex, Serial } from '../../../src/core/ids.js'
import type { SystemWrite } from '../../../src/core/ports/engine.js'
import type { ClientTag } from '../../../src/core/ports/replicated-group.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'

const limits = { clientsMax: 100, clientIdleTimeoutMs: 1000 }
const id = (name: string) => name as ClientId
const at = (index: number) => index as LogIndex

const tag = (client: string, serial: number, answeredBelow = 1): ClientTag => ({
  clientId: id(client),
  serial: serial as Serial,
  answeredBelow: answeredBelow as Serial
})

const answer = (client: string, serial: number, answeredBelow = 1): TaggedAnswer => ({
  tag: tag(client, serial, answeredBelow),
  result: Uint8Array.of(serial)
})

/** The engine's system keys. */
class Keys {
  readonly #values = new Map<string, Uint8Array>()

  write(writes: readonly SystemWrite[]): void {
    for (const { key, value } of writes) {
      if (value === null) this.#values.delete(key)
      else this.#values.set(key, value)
    }
  }

  all(): SystemWrite[] {
    return [...this.#values].map(([key, value]) => ({ key, value }))
  }
}

t.test('R-X01 a duplicate serial is answered with the kept result', async (t) => {
  const table = new ClientTable()
  table.register(10, limits, [id('c')])
  t.same(table.lookup(tag('c', 1), 11, limits), { kind: 'new' })
  table.apply(11, limits, [answer('c', 1)], at(5))
  const executed = { kind: 'executed', index: 5, result: Uint8Array.of(1) }
  t.same(table.lookup(tag('c', 1), 12, limits), executed)
  t.same(table.lookup(tag('c', 2), 12, limits), { kind: 'new' })
})

t.test('R-X02 serials in any order above the low-water mark, forgotten ones below', async (t) => {
  const table = new ClientTable()
  table.register(1, limits, [id('c')])
  for (const serial of [3, 1, 4]) table.apply(1 + serial, limits, [answer('c', serial)], at(serial))
  t.same(table.lookup(tag('c', 2), 6, limits), { kind: 'new' })
  table.apply(7, limits, [answer('c', 5, 4)], at(9))
  for (const serial of [1, 2, 3]) {
    t.same(table.lookup(tag('c', serial), 8, limits), { kind: 'forgotten' })
  }
  t.match(table.lookup(tag('c', 4), 8, limits), { kind: 'executed', index: 4 })
  t.equal(table.unansweredCount(tag('c', 6, 5)), 1)
})

t.test('R-X03 clients expire by log time, the longest unused first at the bound', async (t) => {
  const table = new ClientTable()
  table.register(1, { ...limits, clientsMax: 2 }, [id('a'), id('b')])
  table.apply(2, limits, [answer('a', 1)], at(2))
  table.register(3, { ...limits, clientsMax: 2 }, [id('c')])
  t.same(table.lookup(tag('b', 1), 4, limits), { kind: 'expired' })
  t.match(table.lookup(tag('a', 1), 4, limits), { kind: 'executed' })
  t.same(table.lookup(tag('a', 2), 1002, limits), { kind: 'new' })
  t.same(table.lookup(tag('a', 2), 1003, limits), { kind: 'expired' })
  table.apply(1003, limits, [], at(4))
  t.equal(table.size, 1)
})

t.test('R-X04 an expired or unknown client is told so, never registered silently', async (t) => {
  const table = new ClientTable()
  t.same(table.lookup(tag('nobody', 1), 1, limits), { kind: 'expired' })
  table.apply(1, limits, [answer('nobody', 1)], at(1))
  t.equal(table.size, 0)
})

t.test('a client with one command on the way uses one key', async (t) => {
  const table = new ClientTable()
  const keys = new Keys()
  keys.write(table.register(1, limits, [id('c')]))
  for (let serial = 1; serial <= 50; serial++) {
    keys.write(table.apply(serial + 1, limits, [answer('c', serial, serial)], at(serial)))
  }
  t.same(
    keys.all().map(({ key }) => key),
    ['client/id/c', 'client/time', 'client/answer/0/c']
  )
})

t.test('R-X05 a restored table behaves as the one that wrote it, on any history', async (t) => {
  const random = SplittableRandom.fromSeed(11)
  const names = ['a', 'b/1', 'c', 'd', '1/e', 'f']
  const narrow = { clientsMax: 4, clientIdleTimeoutMs: 60 }
  let differing = 0
  for (let run = 0; run < 60; run++) {
    let restored = new ClientTable()
    const kept = new ClientTable()
    const keys = new Keys()
    let logTime = 0
    for (let index = 1; index < 60; index++) {
      logTime += 1 + random.nextInt(12)
      const chosen = Array.from({ length: 1 + random.nextInt(3) }, () => random.nextInt(6))
      const clients = chosen.map((i) => names[i] as string)
      const answers = clients
        .map((name) => {
          const serial = 1 + random.nextInt(30)
          return answer(name, serial, random.nextInt(Math.min(9, serial + 1)))
        })
        .filter(({ tag }, i) => {
          const isFirst = clients.indexOf(tag.clientId) === i
          return isFirst && kept.lookup(tag, logTime, narrow).kind === 'new'
        })
      const isRegistration = random.nextInt(3) === 0
      const [one, two] = [kept, restored].map((table) =>
        isRegistration
          ? table.register(logTime, narrow, clients.map(id))
          : table.apply(logTime, narrow, answers, at(index))
      )
      if (JSON.stringify(one) !== JSON.stringify(two)) differing++
      keys.write(one as SystemWrite[])
      if (random.nextInt(4) === 0) restored = ClientTable.restore(keys.all())
      if (restored.logTime !== kept.logTime || restored.size !== kept.size) differing++
    }
  }
  t.equal(differing, 0)
})
