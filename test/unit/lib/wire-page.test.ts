import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { declaredCatalogue } from '../../../lib/catalogue.js'
import { ByteWriter, ExtensionTags } from '../../../src/wire/index.js'
import {
  type GoldenBytes,
  goldenBytes,
  goldenOf,
  hexOf,
  withParts
} from '../../support/wire-page.js'
import { tryRead } from '../../support/wire-samples.js'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const pageFile = `${root}docs/wire.md`
const goldenFile = `${root}test/golden/messages.json`
/** Writes what is made from the declarations: new messages into the golden bytes, the page anew. */
const isUpdate = process.env.UPDATE_WIRE === '1'
const how = 'UPDATE_WIRE=1 npm test -- .build/suites/unit-lib.test.js'

const read = (): GoldenBytes[] => JSON.parse(readFileSync(goldenFile, 'utf8'))
const written = (golden: readonly GoldenBytes[]): string =>
  `[\n${golden.map((each) => `  ${JSON.stringify(each)}`).join(',\n')}\n]\n`

t.test('the tables of docs/wire.md are those of the declarations', async (t) => {
  const page = readFileSync(pageFile, 'utf8')
  const wanted = withParts(page)
  if (isUpdate) writeFileSync(pageFile, wanted)
  t.ok(isUpdate || page === wanted, `docs/wire.md is out of date: ${how}`)
  for (const tag of Object.values(ExtensionTags)) {
    t.match(page, new RegExp(`^\\| ${tag} \\| .* \\| .* \\|$`, 'm'), `extension field ${tag}`)
  }
})

t.test('golden bytes: each message is read and written as it always was', async (t) => {
  const all = declaredCatalogue().all()
  const known = isUpdate ? stillTrue(read()) : read()
  const missing = all.filter(({ number }) => !known.some((one) => one.number === hexOf(number)))
  if (isUpdate) {
    const golden = [...known, ...missing.flatMap(goldenOf)].sort((a, b) =>
      a.number < b.number ? -1 : a.number > b.number ? 1 : 0
    )
    writeFileSync(goldenFile, written(golden))
  }
  t.same(isUpdate ? [] : missing.map(({ name }) => name), [], `without golden bytes: ${how}`)
  for (const { number, name, hex, body } of known) {
    const declaration = all.find((each) => each.number === Number(number))
    t.equal(declaration?.name, name, `${number} is ${name}`)
    if (declaration === undefined) continue
    const value = tryRead(declaration.codec, Buffer.from(hex, 'hex'))
    t.ok(value, `${name} is read`)
    if (value === undefined) continue
    const writer = new ByteWriter(1 << 21)
    declaration.codec.write(writer, value.body)
    t.equal(Buffer.from(writer.peek()).toString('hex'), hex, `${name} is written`)
    t.same(goldenBytes(declaration, Buffer.from(hex, 'hex')).body, body, `${name} says the same`)
  }
})

/** While there is no release, a message may still change: its bytes are made anew. */
function stillTrue(golden: readonly GoldenBytes[]): GoldenBytes[] {
  const all = declaredCatalogue().all()
  return golden.filter(({ number, name, hex, body }) => {
    const declaration = all.find((each) => each.number === Number(number))
    if (declaration === undefined || declaration.name !== name) return false
    const bytes = Buffer.from(hex, 'hex')
    const value = tryRead(declaration.codec, bytes)
    if (value === undefined) return false
    const writer = new ByteWriter(1 << 21)
    declaration.codec.write(writer, value.body)
    const isSame = Buffer.from(writer.peek()).equals(bytes)
    return isSame && JSON.stringify(goldenBytes(declaration, bytes).body) === JSON.stringify(body)
  })
}
