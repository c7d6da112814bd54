/** Dead files, tests outside of suites, the published names, numbers of messages. */
import {
  type Finding,
  finding,
  productFiles,
  referencesOf,
  type SourceTree
} from './source-tree.js'

/** Read by Node itself or by an embedder, not by a file of ours. */
const isEntry = (path: string): boolean =>
  /^lib\/|^src\/\w+\/index\.ts$|^src\/cli\/([\w-]+-)?main\.ts$/.test(path)

export function checkDeadFiles(tree: SourceTree): Finding[] {
  const used = new Set<string>()
  for (const file of productFiles(tree)) {
    for (const { target } of referencesOf(file, tree)) if (target !== null) used.add(target)
  }
  return productFiles(tree)
    .filter(({ path }) => !isEntry(path) && !used.has(path))
    .map(({ path }) => ({ file: path, line: 1, message: 'dead: no file of src or lib uses it' }))
}

/** @param suites text of every generated suite */
export function checkSuites(tree: SourceTree, suites: string): Finding[] {
  const findings: Finding[] = []
  for (const { path } of tree.values()) {
    if (!path.startsWith('test/') || !path.endsWith('.test.ts')) continue
    const built = path.slice('test/'.length).replace(/\.ts$/, '.js')
    if (!suites.includes(`'../test/${built}'`)) {
      findings.push({ file: path, line: 1, message: 'is in no suite of scripts/suites.mjs' })
    }
  }
  return findings
}

/**
 * Names that a file exports, in its own words: `export { a, type B as C } from`, `export class
 * D`.
 */
export function exportedNames(tree: SourceTree, path: string): string[] {
  const text = tree.get(path)?.code ?? ''
  const listed = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap((match) =>
    (match[1] ?? '')
      .split(',')
      .map((name) =>
        name
          .trim()
          .replace(/^type\s+/, '')
          .replace(/^.*\bas\s+/, '')
      )
      .filter((name) => name !== '')
  )
  const declaration =
    /^export (?:declare )?(?:abstract )?(?:class|const|function|interface|type) (\w+)/gm
  return [...listed, ...[...text.matchAll(declaration)].map((match) => match[1] ?? '')].sort()
}

export function checkExports(
  tree: SourceTree,
  path: string,
  expected: readonly string[]
): Finding[] {
  const actual = exportedNames(tree, path)
  const file = tree.get(path)
  const added = actual.filter((name) => !expected.includes(name))
  const gone = expected.filter((name) => !actual.includes(name))
  return [
    ...added.map((name) =>
      file === undefined
        ? { file: path, line: 1, message: name }
        : finding(
            file,
            Math.max(0, file.code.search(new RegExp(`\\b${name}\\b`))),
            `${name} is published and not in test/tidy/root-exports.ts`
          )
    ),
    ...gone.map((name) => ({
      file: 'test/tidy/root-exports.ts',
      line: 1,
      message: `${name} is listed and ${path} does not export it`
    }))
  ]
}

/** A message as its declaration has it, and the file that declares it. */
export interface DeclaredMessage {
  readonly file: string
  readonly name: string
  readonly number: number
}

/** High byte of the number → room. */
const ranges: Readonly<Record<number, string>> = {
  0: 'network',
  1: 'network',
  2: 'consensus',
  3: 'routing',
  4: 'health',
  5: 'failover',
  6: 'failover',
  7: 'service',
  8: 'failover',
  9: 'stream',
  10: 'control',
  240: 'network'
}

export function checkMessages(messages: readonly DeclaredMessage[], tree: SourceTree): Finding[] {
  const findings: Finding[] = []
  for (const [i, message] of messages.entries()) {
    const line = lineOfName(tree, message)
    const hex = `0x${message.number.toString(16).padStart(4, '0')}`
    const twin = messages.find((other, k) => k < i && other.number === message.number)
    if (twin !== undefined) {
      const where = `${twin.name} (${twin.file})`
      findings.push({ file: message.file, line, message: `${message.name}: ${hex} is of ${where}` })
    }
    const room = ranges[message.number >> 8]
    if (room === undefined || !message.file.startsWith(`src/${room}/`)) {
      const message_ = `${message.name}: ${hex} is in the range of ${room ?? 'nobody'}`
      findings.push({ file: message.file, line, message: message_ })
    }
  }
  return findings
}

function lineOfName(tree: SourceTree, { file, name }: DeclaredMessage): number {
  const text = tree.get(file)?.text ?? ''
  const at = text.indexOf(`'${name.replace(/Response$/, '')}'`)
  return text.slice(0, Math.max(0, at)).split('\n').length
}
