/** Every regular expression that stands in the product's sources. */
import { productFiles, type SourceTree } from '../../tidy/source-tree.js'

export interface FoundPattern {
  /** File and line. */
  readonly where: string
  readonly pattern: RegExp
}

export interface FoundPatterns {
  readonly patterns: readonly FoundPattern[]
  /** Slashes that are neither a division nor a pattern's end: something would be missed. */
  readonly doubtful: readonly string[]
  /** Files that make patterns from texts. */
  readonly built: readonly string[]
}

/** What is between the slashes is blank in the code, and not in the text. */
const literal = /\/ +\/([a-z]*)/g
const division = /(?<= )\/=?(?= )/g

export function findPatterns(tree: SourceTree): FoundPatterns {
  const patterns: FoundPattern[] = []
  const doubtful: string[] = []
  const built: string[] = []
  for (const { path, code: whole, uncommented } of productFiles(tree)) {
    const code = whole.replace(/^#!.*/, (line) => ' '.repeat(line.length))
    const whereOf = (at: number) => `${path}:${code.slice(0, at).split('\n').length}`
    for (const match of code.matchAll(literal)) {
      const [text, flags = ''] = match
      const end = match.index + text.length - flags.length - 1
      const source = uncommented.slice(match.index + 1, end)
      patterns.push({ where: whereOf(match.index), pattern: new RegExp(source, flags) })
    }
    const rest = code.replace(literal, (text) => ' '.repeat(text.length)).replace(division, ' ')
    for (const match of rest.matchAll(/\//g)) doubtful.push(whereOf(match.index))
    if (/\bRegExp\(/.test(code)) built.push(path)
  }
  return { patterns, doubtful, built }
}
