/**
 * What cluster version 1 wrote into logs, images and snapshots, kept as bytes: every release reads
 * it, and writes the same for the same, as long as the version is not raised.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { entryPayload } from '../../../src/consensus/entry.js'
import { groupPayload } from '../../../src/consensus/group/group-payload.js'
import type { AnySection } from '../../../src/control/control-state.js'
import { ownSections } from '../../../src/control/sections.js'
import { SplittableRandom } from '../../../src/core/index.js'
import { failoversSection, restartsSection, sessionsSection } from '../../../src/failover/index.js'
import { loggedChanges } from '../../../src/failover/two-phase/changes.js'
import { ByteWriter, type Codec, toPlain } from '../../../src/wire/index.js'
import { sampleBody, tryRead } from '../../support/wire-samples.js'

interface Stored {
  readonly name: string
  readonly hex: string
  readonly body: unknown
}

const goldenFile = fileURLToPath(new URL('../../../../test/golden/stored-1.json', import.meta.url))
/** Adds formats that are not there; what is there never changes. */
const isUpdate = process.env.UPDATE_WIRE === '1'
const samplesMax = 200

const sections = [...ownSections, restartsSection, sessionsSection, failoversSection]

/** By name; `isFirst`: version 1 wrote it. */
const formats = new Map<string, { codec: Codec<unknown>; isFirst(value: unknown): boolean }>()
const add = (name: string, codec: unknown, isFirst = (_: unknown) => true) =>
  formats.set(name, { codec: codec as Codec<unknown>, isFirst })
add('entry', entryPayload)
add('entry of a group', groupPayload)
add('changes of transactions', loggedChanges)
for (const section of sections as readonly AnySection[]) {
  add(`${section.name} state`, section.state, (state) => !('runtimes' in (state as object)))
  add(`${section.name} change`, section.change, (it) => (section.formatOf?.(it) ?? 1) === 1)
  add(`${section.name} answer`, section.answer)
}

const written = (codec: Codec<unknown>, value: unknown): string => {
  const writer = new ByteWriter(1 << 21)
  codec.write(writer, value)
  return Buffer.from(writer.peek()).toString('hex')
}

/** The least, and some with something in everything. */
function samplesOf(name: string): Stored[] {
  const { codec, isFirst } = formats.get(name) as NonNullable<ReturnType<typeof formats.get>>
  const random = SplittableRandom.fromSeed(1).split(name)
  const samples = new Map<string, Stored>()
  for (let i = 0; i < samplesMax && samples.size < 4; i++) {
    const bytes = sampleBody(codec, random, { lengthMax: i === 0 ? 0 : 2 }, 10_000)
    const value = bytes === null ? undefined : tryRead(codec, bytes)
    if (value === undefined || !isFirst(value.body)) continue
    const hex = written(codec, value.body)
    samples.set(hex, { name, hex, body: toPlain(value.body) })
  }
  return [...samples.values()]
}

const read = (): Stored[] => JSON.parse(readFileSync(goldenFile, 'utf8'))

t.test('D-12 L-08 what version 1 stored is read, and written, as it always was', async (t) => {
  const known = read()
  const missing = [...formats.keys()].filter((name) => !known.some((one) => one.name === name))
  if (isUpdate) {
    const golden = [...known, ...missing.flatMap(samplesOf)]
    const lines = golden.map((each) => `  ${JSON.stringify(each)}`).join(',\n')
    writeFileSync(goldenFile, `[\n${lines}\n]\n`)
  }
  t.same(isUpdate ? [] : missing, [], 'formats without golden bytes: UPDATE_WIRE=1')
  for (const { name, hex, body } of known) {
    const format = formats.get(name)
    const value = format && tryRead(format.codec, Buffer.from(hex, 'hex'))
    if (format === undefined || value === undefined) {
      t.fail(`${name} is not read: ${hex}`)
      continue
    }
    t.equal(written(format.codec, value.body), hex, `${name} is written`)
    t.same(toPlain(value.body), body, `${name} says the same`)
  }
})
