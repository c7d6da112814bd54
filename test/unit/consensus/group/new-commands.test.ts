import t from 'tap'
import { ClientTable } from '../../../../src/consensus/client-table.js'
import { NewCommands } from '../../../../src/consensus/group/new-commands.js'
import type { ClientId, LogIndex, Serial } from '../../../../src/core/ids.js'
import type { ClientTag } from '../../../../src/core/ports/replicated-group.js'

const limits = { clientsMax: 100, clientIdleTimeoutMs: 1_000 }
const tag = (client: string, serial: number, answeredBelow = 1): ClientTag => ({
  clientId: client as ClientId,
  serial: serial as Serial,
  answeredBelow: answeredBelow as Serial
})

t.test('R-X01 the commands of one entry are executed as if each had its own', async (t) => {
  const table = new ClientTable()
  table.register(1, limits, ['a' as ClientId, 'b' as ClientId])
  const news = new NewCommands(table, 2, limits)
  const tags = [tag('a', 20, 18), tag('a', 19, 15), tag('b', 7, 7), tag('b', 6, 6), tag('a', 17)]
  const isNew = tags.map((one) => news.isNew(one))
  t.same(isNew, [true, true, true, false, false], 'what its client has given up is not executed')
  t.notOk(news.isNew(tag('a', 20, 18)), 'nor anything twice')
  t.notOk(news.isNew(tag('c', 1)), 'nor what nobody knows is from whom')
  const executed = tags.filter((_, i) => isNew[i]).map((one) => ({ tag: one, result: null }))
  table.apply(2, limits, executed, 3 as LogIndex)
  t.equal(table.lookup(tag('b', 7), 3, limits).kind, 'executed')
  t.equal(table.lookup(tag('b', 6), 3, limits).kind, 'forgotten')
})
