import { readFile, writeFile } from 'node:fs/promises'
import t from 'tap'
import { createAdminServer } from '../../../lib/admin.js'
import { silentLogger } from '../../../src/core/index.js'
import { FakeManager } from './fake-manager.js'

interface Operation {
  readonly tags: readonly string[]
  readonly summary: string
  readonly description: string
}

const page = new URL('../../../../docs/admin.md', import.meta.url)
const begin = '<!-- endpoints: made from the routes -->\n'
const end = '<!-- end -->'

t.test('docs/admin.md lists the routes as they are; UPDATE_ADMIN=1 makes it anew', async (t) => {
  const server = createAdminServer(new FakeManager(), {
    listenAddress: '127.0.0.1:0',
    tokens: [],
    logger: silentLogger,
    eventSubscribersMax: 1
  })
  const { address } = await server.start()
  t.teardown(() => server.stop())
  const response = await fetch(`http://${address}/v1/openapi.json`)
  const { paths } = (await response.json()) as {
    readonly paths: Record<string, Record<string, Operation>>
  }
  const rows = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { tags, summary, description }]) => {
      const [, role = 'open'] = /needs the role `(\w+)`/.exec(description) ?? []
      return `| \`${method.toUpperCase()} ${path}\` | ${role} | ${tags[0]} | ${summary} |`
    })
  )
  const table = ['| endpoint | role | family | about |', '|---|---|---|---|', ...rows].join('\n')
  const text = await readFile(page, 'utf8')
  const [head = '', rest = ''] = text.split(begin)
  const wanted = `${head}${begin}\n${table}\n\n${rest.slice(rest.indexOf(end))}`
  if (process.env.UPDATE_ADMIN === '1') await writeFile(page, wanted)
  else t.equal(text, wanted)
  t.ok(rows.length > 30 && text.includes(begin) && rest.includes(end))
})
