/** Banned calls with their replacement, state of modules, leftovers, sizes. */
import { type FileKind, kindOf } from './import-rules.js'
import {
  type Finding,
  finding,
  isTypeScript,
  lineAt,
  productFiles,
  roomOf,
  type SourceFile,
  type SourceTree
} from './source-tree.js'

interface Ban {
  readonly pattern: RegExp
  readonly instead: string
  applies(file: SourceFile): boolean
}

const ofKinds =
  (...kinds: readonly FileKind[]) =>
  (file: SourceFile): boolean =>
    /^(src|lib)\//.test(file.path) && kinds.includes(kindOf(file.path))

const inProduct = (file: SourceFile): boolean => /^(src|lib)\//.test(file.path)

/** Real time has no place in these tests; the others await events of real sockets and processes. */
const inVirtualTests = (file: SourceFile): boolean =>
  /^test\/(unit|scenario|simulation)\//.test(file.path) && !/^test\/unit\/runtime\//.test(file.path)

const bans: readonly Ban[] = [
  { pattern: /\bDate\.now\b/g, instead: 'Clock.now() or Clock.wallNow()', applies: sansIo },
  { pattern: /\bnew Date\(\s*\)/g, instead: 'Clock.wallNow()', applies: sansIo },
  { pattern: /\bperformance\.now\b/g, instead: 'Clock.now()', applies: sansIo },
  { pattern: /\bMath\.random\b/g, instead: 'the Random port', applies: inProduct },
  {
    pattern: /(?<![.\w#])(setTimeout|setInterval|setImmediate)\b/g,
    instead: 'a DeadlineTimer over the Clock port',
    applies: sansIo
  },
  { pattern: /(?<![.\w])queueMicrotask\b/g, instead: 'an effect', applies: ofKinds('pure') },
  { pattern: /(?<![.\w])process\./g, instead: 'an argument or a port', applies: sansIo },
  { pattern: /\bBuffer\b/g, instead: 'Uint8Array, ByteReader and ByteWriter', applies: sansIo },
  {
    pattern: /\bglobalThis\.crypto\b|\bcrypto\.(subtle|randomUUID|getRandomValues)\b/g,
    instead: 'the Crypto port',
    applies: ofKinds('pure', 'driver')
  },
  { pattern: /(?<![.\w#])fetch\(/g, instead: 'the Messenger port', applies: sansIo },
  {
    pattern: /\b(async|await)\b(?!:|\?:)|\.then\(/g,
    instead: 'an effect, and async in the *-driver.ts that owns the core',
    applies: ofKinds('pure')
  },
  {
    pattern: /\bAbortSignal\.(timeout|any)\b|\bPromise\.race\b/g,
    instead: 'a DeadlineTimer over the Clock port',
    applies: (file) => inProduct(file) && roomOf(file.path) !== 'cli'
  },
  {
    pattern: /(?<![.\w])console\./g,
    instead: 'the Logger port',
    applies: (file) => inProduct(file) && roomOf(file.path) !== 'cli'
  },
  {
    pattern: /(?<![.\w])process\.exit\(/g,
    instead: 'a coded error, and an exit status set by src/cli',
    applies: (file) => inProduct(file) && roomOf(file.path) !== 'cli'
  },
  {
    pattern: /[:<,|(]\s*any\b|\bas any\b/g,
    instead: 'unknown, and a check',
    applies: isTypeScript
  },
  { pattern: /^export \*/gm, instead: 'names, listed by hand', applies: isTypeScript },
  { pattern: /^export default\b/gm, instead: 'a named export', applies: inProduct },
  {
    pattern: /^(export )?(declare )?(const )?enum\b/gm,
    instead: 'a const object and its derived union',
    applies: inProduct
  },
  {
    pattern: /^(export )?(let|var)\b/gm,
    instead: 'a field of the object that owns the state',
    applies: inProduct
  },
  {
    pattern:
      /^(export )?const \w+(: (?!Readonly)[^=]+)? = (new (Weak)?(Map|Set)(<[^=]*>)?\(\)|\[\]$)/gm,
    instead: 'a field of the object that owns the state',
    applies: inProduct
  },
  {
    pattern: /(?<![.\w#])(setTimeout|setInterval)\(/g,
    instead: 'virtual time, or an awaited event',
    applies: inVirtualTests
  },
  {
    pattern: /\bnew (BoundedQueue|RingBuffer)(<[^()]*>)?\(\d/g,
    instead: 'a named bound, listed in docs/limits.md',
    applies: inProduct
  },
  {
    pattern: /\bdeclare(Message|Request)\(/g,
    instead: "the room's messages.ts",
    applies: (file) =>
      inProduct(file) && !/[/-]messages\.ts$|^src\/wire\/declaration\.ts$/.test(file.path)
  }
]

function sansIo(file: SourceFile): boolean {
  return ofKinds('pure', 'driver')(file)
}

export function checkCalls(tree: SourceTree): Finding[] {
  const findings: Finding[] = []
  for (const file of tree.values()) {
    if (!isTypeScript(file)) continue
    for (const ban of bans) {
      if (!ban.applies(file)) continue
      for (const match of file.code.matchAll(ban.pattern)) {
        const call = match[0].trim().replace(/\s+/g, ' ')
        findings.push(finding(file, match.index, `\`${call}\` is banned here; use ${ban.instead}`))
      }
    }
  }
  return findings
}

// Put together from parts, so that this file does not find itself.
const leftovers: readonly (readonly [RegExp, string])[] = [
  [new RegExp(`\\b(${['TO', 'FIX', 'XX'].join('|')})(${['DO', 'ME', 'X'].join('|')})\\b`, 'g'), ''],
  [new RegExp(`@ts-${'(ignore|nocheck|expect-error)'}`, 'g'), ': give the value its type'],
  [new RegExp(`biome${'-'}ignore`, 'g'), ': change the code'],
  [new RegExp(`\\b(c8|istanbul|v8) ${'ignore'}\\b`, 'g'), ': test the branch'],
  [new RegExp(`(^|[\\s'"\`(])/(${['work', 'root'].join('|')})/`, 'g'), ': a path of one machine']
]

export function checkLeftovers(tree: SourceTree): Finding[] {
  const findings: Finding[] = []
  for (const file of tree.values()) {
    for (const [pattern, hint] of leftovers) {
      for (const match of file.text.matchAll(pattern)) {
        findings.push(finding(file, match.index, `left over: ${match[0].trim()}${hint}`))
      }
    }
  }
  return findings
}

export const fileLinesMax = 800
export const functionLinesMax = 70
export const lineColumnsMax = 100

export function checkSizes(tree: SourceTree): Finding[] {
  const findings: Finding[] = []
  for (const file of tree.values()) {
    if (!isTypeScript(file)) continue
    const lines = file.text.replace(/\n$/, '').split('\n')
    if (lines.length > fileLinesMax) {
      const message = `${lines.length} lines, at most ${fileLinesMax}: split it by idea`
      findings.push({ file: file.path, line: fileLinesMax + 1, message })
    }
    for (const [i, line] of lines.entries()) {
      if ([...line].length <= lineColumnsMax) continue
      const message = `${[...line].length} columns, at most ${lineColumnsMax}`
      findings.push({ file: file.path, line: i + 1, message })
    }
  }
  return [...findings, ...productFiles(tree).flatMap(longFunctions)]
}

const control = /^\s*(\} )?(else )?(if|for|while|switch|catch|do|try|else)\b/

/**
 * The formatter puts the closing brace of a body under the first character of the statement that
 * opens it, so lengths are found by indentation.
 */
function longFunctions(file: SourceFile): Finding[] {
  const lines = file.code.split('\n')
  const findings: Finding[] = []
  for (const [i, line] of lines.entries()) {
    if (!/(\)(: .+)?|=>) \{$/.test(line)) continue
    const indent = line.length - line.trimStart().length
    const first = /^\s*\)/.test(line) ? headOf(lines, i, indent) : i
    if (control.test(lines[first] ?? '')) continue
    const last = lines.findIndex((text, k) => k > i && text.startsWith(`${' '.repeat(indent)}}`))
    const length = last - first + 1
    if (last < 0 || length <= functionLinesMax) continue
    const message = `a function of ${length} lines, at most ${functionLinesMax}`
    findings.push({ file: file.path, line: first + 1, message })
  }
  return findings
}

function headOf(lines: readonly string[], from: number, indent: number): number {
  for (let i = from - 1; i >= 0; i--) {
    const text = lines[i] ?? ''
    if (text.trim() !== '' && text.length - text.trimStart().length <= indent) return i
  }
  return from
}

/** The line of the first match in a file; for rules over documents. */
export const lineOf = (file: SourceFile | undefined, pattern: RegExp): number => {
  const at = file?.text.search(pattern) ?? -1
  return file === undefined || at < 0 ? 1 : lineAt(file.text, at)
}
