/** The parts of `docs/wire.md`, and the golden bytes, that are made from the declarations. */
import { declaredCatalogue } from '../../lib/catalogue.js'
import { SplittableRandom } from '../../src/core/index.js'
import { partSpecs } from '../../src/network/membership/messages.js'
import { type AnyDeclaration, directionOf, shapeOf, toPlain } from '../../src/wire/index.js'
import { sampleBody, tryRead } from './wire-samples.js'

const priorities = ['critical', 'high', 'normal', 'low'] as const

export const hexOf = (number: number): string =>
  `0x${number.toString(16).padStart(4, '0').toUpperCase()}`

/** `number`, `name`, kind, direction, priority, what for; then each body in a table of its own. */
export function messagesPart(): string {
  const all = declaredCatalogue().all()
  return [
    '| number | name | kind | from → to | priority | since | what for |',
    '|---|---|---|---|---|---|---|',
    ...all.map(
      (each) =>
        `| ${hexOf(each.number)} | ${each.name} | ${kindOf(each)} | ${directionOf(each)} | ` +
        `${priorities[each.priority]} | ${each.since} | ${each.about} |`
    ),
    '',
    '| name | body |',
    '|---|---|',
    ...all.map(({ name, codec }) => `| ${name} | \`${shapeOf(codec.spec)}\` |`)
  ].join('\n')
}

export const partsPart = (): string =>
  [
    '| kind | part | body |',
    '|---|---|---|',
    ...partSpecs.map(({ number, name, spec }) => `| ${number} | ${name} | \`${shapeOf(spec)}\` |`)
  ].join('\n')

const kindOf = ({ kind }: AnyDeclaration): string => (kind === 'oneWay' ? 'one-way' : kind)

/** The page with what stands between the marks of each part replaced. */
export function withParts(page: string): string {
  const parts = { messages: messagesPart(), parts: partsPart() }
  return Object.entries(parts).reduce((text, [name, part]) => {
    const begin = `<!-- ${name}: made from the declarations -->\n`
    const at = text.indexOf(begin)
    const end = text.indexOf('<!-- end -->', at)
    if (at < 0 || end < 0) throw new Error(`no marks of ${name}`)
    return `${text.slice(0, at + begin.length)}\n${part}\n\n${text.slice(end)}`
  }, page)
}

export interface GoldenBytes {
  readonly number: string
  readonly name: string
  readonly hex: string
  /** Decoded, as JSON can carry it. */
  readonly body: unknown
}

/** Two bodies of a message: the least, and one with something in everything. */
export function goldenOf(declaration: AnyDeclaration): GoldenBytes[] {
  const random = SplittableRandom.fromSeed(declaration.number)
  return [0, 2].flatMap((lengthMax) => {
    const bytes = sampleBody(declaration.codec, random, { lengthMax }, 10_000)
    return bytes === null ? [] : [goldenBytes(declaration, bytes)]
  })
}

export function goldenBytes(declaration: AnyDeclaration, bytes: Uint8Array): GoldenBytes {
  return {
    number: hexOf(declaration.number),
    name: declaration.name,
    hex: Buffer.from(bytes).toString('hex'),
    body: toPlain(tryRead(declaration.codec, bytes)?.body ?? null)
  }
}
