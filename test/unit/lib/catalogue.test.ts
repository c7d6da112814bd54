import { readFileSync } from 'node:fs'
import t from 'tap'
import { catalogue, declaredCatalogue } from '../../../lib/catalogue.js'
import { directionOf } from '../../../src/wire/index.js'

const hex = (number: number) => `0x${number.toString(16).padStart(4, '0').toUpperCase()}`
const page = readFileSync(new URL('../../../../docs/seeds-messages.md', import.meta.url), 'utf8')

t.test('every message of the first designs has a row, and each row names ours', async (t) => {
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
  const names = rows.map((cells) => cells[1]?.replaceAll('`', ''))
  const wanted = [
    ...['RequestVote', 'AppendEntries', 'JoinRequest', 'LeaveRequest', 'Ping', 'Pong'],
    ...['HealthCheck', 'HealthResponse'],
    ...['Query', 'QueryResult', 'ReplicationLog', 'HeartBeat', 'MetadataSync'],
    ...['TransactionPrepare', 'TransactionCommit', 'TransactionAbort', 'Custom'],
    ...['HeartbeatPing', 'HeartbeatPong', 'SyncServiceRequest', 'SyncServiceResponse'],
    ...['ClientMigration', 'ClientMigrationAck', 'FileTransferRequest', 'FileTransferChunk'],
    ...['MetadataExchange', 'MetadataExchangeAck', 'Error']
  ]
  for (const name of wanted) t.ok(names.includes(name), name)
  const all = declaredCatalogue()
  const spoken = catalogue()
  for (const cells of rows) {
    const ours = [...(cells[3] ?? '').matchAll(/`(\w+)` (0x[0-9A-F]{4})/g)]
    for (const [, name, number] of ours) {
      const declared = all.byNumber(Number(number))
      t.equal(declared?.name, name, `${name} has number ${number}`)
      const status = spoken.byNumber(Number(number)) === undefined ? 'declared' : 'works'
      t.match(cells[5], status, `${name} ${status}`)
    }
  }
})

t.test('a response goes back to whoever may ask, and clients send little', async (t) => {
  const all = declaredCatalogue().all()
  const fromClients = all.filter(({ senders }) => senders.includes('client'))
  t.same(
    fromClients.filter(({ number }) => number >= 0x0100).map(({ name }) => name),
    ['Query', 'Placement', 'RegisterClient']
  )
  for (const declaration of all) {
    t.match(directionOf(declaration), /^(node|client)(, client)? → (node|client)(, client)?$/)
    if (declaration.kind !== 'request') continue
    const response = all.find(({ number }) => number === declaration.number + 1)
    t.same(response?.receivers, declaration.senders, hex(declaration.number))
    t.same(response?.senders, declaration.receivers)
  }
})
