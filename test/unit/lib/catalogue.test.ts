import { readFileSync } from 'node:fs'
import t from 'tap'
import { catalogue, declaredCatalogue } from '../../../lib/catalogue.js'
import { ClusterNetworkManager } from '../../../lib/cluster-network-manager.js'
import {
  type CustomDeclaration,
  defineMessage,
  directionOf,
  schema
} from '../../../src/wire/index.js'

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
    [
      'Query',
      'Placement',
      'RegisterClient',
      'WatchCluster',
      'RouteQuery',
      'SessionOpen',
      'SessionAttach',
      'SessionDefine',
      'SessionKeep',
      'SessionClose',
      'ChangeSchema'
    ]
  )
  for (const declaration of all) {
    t.match(directionOf(declaration), /^(node|client)(, client)? → (node|client)(, client)?$/)
    if (declaration.kind !== 'request') continue
    const response = all.find(({ number }) => number === declaration.number + 1)
    t.same(response?.receivers, declaration.senders, hex(declaration.number))
    t.same(response?.senders, declaration.receivers)
  }
})

const config = (security: object = {}) => ({
  node: { id: 'a', dataDirectory: 'data' },
  security: { insecure: true, ...security },
  cluster: { bootstrap: { voters: ['a'] } }
})

t.test('create checks own messages and restrictions by name', async (t) => {
  const mine = defineMessage({ number: 0xf001, name: 'Mine', body: schema.openStruct({}) })
  const vote = defineMessage({ number: 0xf002, name: 'Query', body: schema.openStruct({}) })
  const create = (messages: readonly CustomDeclaration[], security = {}) =>
    ClusterNetworkManager.create({ config: config(security), messages })
  t.ok(create([mine]).messages)
  t.throws(() => create([mine, mine]), { code: 'ERR_SKEIN_INVALID_ARGUMENT', message: /^messages/ })
  t.throws(() => create([vote]), { message: /two messages are called Query/ })
  t.throws(() => create([mine], { messageRestrictions: { client: ['Querry'] } }), {
    code: 'ERR_SKEIN_INVALID_CONFIG',
    message: /security\.messageRestrictions\.client\.0: no message is called Querry/
  })
  t.ok(create([mine], { messageRestrictions: { node: ['Mine'] } }), 'own ones can be denied')
})
