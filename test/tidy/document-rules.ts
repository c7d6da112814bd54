/** What stands in the documents and what stands in the code are the same. */
import {
  type Finding,
  finding,
  productFiles,
  type SourceFile,
  type SourceTree
} from './source-tree.js'

const errorsSource = 'src/core/errors.ts'
const errorsPage = 'docs/errors.md'
const limitsPage = 'docs/limits.md'
/** Sections of the configuration. */
const configSource = /^src\/core\/config\/[\w-]+-fields\.ts$/

/** Each code: once in the tuple, one class, one row; `retryable` in the row is the class's. */
export function checkErrors(tree: SourceTree): Finding[] {
  const source = tree.get(errorsSource)
  const tuple = /errorCodes = \[([^\]]*)\]/.exec(source?.uncommented ?? '')
  if (source === undefined || tuple === null) {
    return [{ file: errorsSource, line: 1, message: 'no tuple errorCodes' }]
  }
  const findings: Finding[] = []
  const codes = [...(tuple[1] ?? '').matchAll(/'(ERR_\w+)'/g)].map((match) => match[1] ?? '')
  const classes = errorClasses(tree)
  const rows = rowsOf(tree.get(errorsPage))
  const at = (code: string) => source.text.indexOf(`'${code}'`)
  for (const code of new Set(codes)) {
    const own = classes.filter((one) => one.code === code)
    const told = rows.filter((row) => row.name === code)
    const report = (message: string) => findings.push(finding(source, at(code), message))
    if (codes.filter((other) => other === code).length > 1) report(`${code} stands twice`)
    if (own.length !== 1) report(`${code} has ${own.length} classes, it needs one`)
    if (told.length !== 1) report(`${code} has ${told.length} rows in ${errorsPage}, it needs one`)
    const said = told[0]?.cells[2]
    const retryable = own[0]?.retryable ? 'yes' : 'no'
    if (own[0] !== undefined && said !== undefined && said !== retryable) {
      report(`${errorsPage} says retryable ${said} of ${code}, the class says ${retryable}`)
    }
  }
  for (const one of classes) {
    if (!codes.includes(one.code)) {
      findings.push(finding(one.file, one.at, `${one.code} is not in the tuple errorCodes`))
    }
  }
  return [...findings, ...unknownRows(errorsPage, rows, (name) => codes.includes(name))]
}

/** Each named bound of configuration and code has a row, and each row a bound. */
export function checkLimits(tree: SourceTree): Finding[] {
  const findings: Finding[] = []
  const rows = rowsOf(tree.get(limitsPage))
  const bounds = [...configBounds(tree), ...codeBounds(tree)]
  for (const bound of bounds) {
    const told = rows.filter((row) => row.name === bound.name).length
    if (told === 1) continue
    const message = `${bound.name} has ${told} rows in ${limitsPage}, it needs one`
    findings.push(finding(bound.file, bound.at, message))
  }
  for (const row of rows) {
    if (row.cells.length === 6 && row.cells.every((cell) => cell !== '')) continue
    findings.push({ file: limitsPage, line: row.line, message: `${row.name}: six filled cells` })
  }
  const names = new Set([...bounds, ...configFields(tree)].map(({ name }) => name))
  const known = (name: string) => names.has(name)
  return [...findings, ...unknownRows(limitsPage, rows, known)]
}

interface Row {
  readonly name: string
  readonly cells: readonly string[]
  readonly line: number
}

/** Rows of the page's tables whose first cell is a name in backticks. */
function rowsOf(page: SourceFile | undefined): Row[] {
  return (page?.text ?? '').split('\n').flatMap((text, i) => {
    if (!text.startsWith('| `')) return []
    const cells = text
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim())
    return [{ name: (cells[0] ?? '').replaceAll('`', ''), cells, line: i + 1 }]
  })
}

const unknownRows = (
  page: string,
  rows: readonly Row[],
  isKnown: (name: string) => boolean
): Finding[] =>
  rows
    .filter(({ name }) => !isKnown(name))
    .map(({ name, line }) => ({ file: page, line, message: `${name} is not in the code` }))

interface ErrorClass {
  readonly code: string
  readonly retryable: boolean
  readonly file: SourceFile
  readonly at: number
}

function errorClasses(tree: SourceTree): ErrorClass[] {
  const pattern = /^export class \w+ extends SkeinError \{[\s\S]*?^\}/gm
  return productFiles(tree).flatMap((file) =>
    [...file.uncommented.matchAll(pattern)].flatMap((match) => {
      const code = /code(?:: ErrorCode)? = '(\w+)'/.exec(match[0])?.[1]
      const retryable = /retryable = true/.test(match[0])
      return code === undefined ? [] : [{ code, retryable, file, at: match.index }]
    })
  )
}

interface Bound {
  readonly name: string
  readonly file: SourceFile
  readonly at: number
}

/** `section.field` for each field whose name ends in Max. */
const configBounds = (tree: SourceTree): Bound[] =>
  configFields(tree).filter(({ name }) => name.endsWith('Max'))

const configFields = (tree: SourceTree): Bound[] =>
  [...tree.values()].filter(({ path }) => configSource.test(path)).flatMap(fieldsOf)

function fieldsOf(file: SourceFile): Bound[] {
  const section = /^export const (\w+) = z\.strictObject\(\{[\s\S]*?^\}\)/gm
  return [...file.code.matchAll(section)].flatMap((match) =>
    [...match[0].matchAll(/^ {2}(\w+):/gm)].map((field) => ({
      name: `${match[1]}.${field[1]}`,
      file,
      at: match.index + field.index + 2
    }))
  )
}

/** Constants of modules whose name ends in Max, in every room of the library. */
const codeBounds = (tree: SourceTree): Bound[] =>
  productFiles(tree)
    .filter(({ path }) => !/^src\/(simulation|checkers|cli)\//.test(path))
    .flatMap((file) =>
      [...file.code.matchAll(/^(?:export )?const (\w+Max)\b/gm)].map((match) => ({
        name: match[1] ?? '',
        file,
        at: match.index
      }))
    )
