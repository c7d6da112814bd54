import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'

/** One file of the tree, as text and as masks of the same length. */
export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string
  readonly text: string
  /** Comments are blank; strings stand. */
  readonly uncommented: string
  /** Comments and the insides of strings and regular expressions are blank. */
  readonly code: string
}

export interface Finding {
  readonly file: string
  readonly line: number
  readonly message: string
}

export interface Reference {
  readonly specifier: string
  readonly line: number
  readonly typeOnly: boolean
  /** `import` or `export … from`; otherwise a path in a string, as workers are named. */
  readonly isImport: boolean
  /** The file in the tree; null for packages and files that do not exist. */
  readonly target: string | null
}

export type SourceTree = ReadonlyMap<string, SourceFile>

const textFile = /\.(ts|md|mjs|json)$/
const skipped = new Set(['node_modules', 'dist', '.build', '.git', '.tap', 'tap-snapshots'])

/** Every text file below the given folders of the repository. */
export function loadTree(root: string, folders: readonly string[]): SourceTree {
  const files: Record<string, string> = {}
  const visit = (folder: string) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (skipped.has(entry.name)) continue
      const path = posix.join(folder, entry.name)
      if (entry.isDirectory()) visit(path)
      else if (textFile.test(entry.name)) files[path] = readFileSync(join(root, path), 'utf8')
    }
  }
  const present = new Set(readdirSync(root))
  for (const folder of folders) if (present.has(folder)) visit(folder)
  return treeOf(files)
}

/** A tree from texts, for planted violations. */
export function treeOf(files: Readonly<Record<string, string>>): SourceTree {
  const paths = Object.keys(files).sort()
  return new Map(paths.map((path) => [path, sourceFile(path, files[path] ?? '')]))
}

export function sourceFile(path: string, text: string): SourceFile {
  if (!/\.(ts|mjs)$/.test(path)) return { path, text, uncommented: text, code: text }
  return { path, text, uncommented: mask(text, false), code: mask(text, true) }
}

export const lineAt = (text: string, offset: number): number =>
  text.slice(0, offset).split('\n').length

export const finding = (file: SourceFile, offset: number, message: string): Finding => ({
  file: file.path,
  line: lineAt(file.text, offset),
  message
})

/** `network` of `src/network/mux/muxer.ts`; `lib` and so on for the other folders. */
export function roomOf(path: string): string {
  const [folder, room] = path.split('/')
  return folder === 'src' && room !== undefined ? room : (folder ?? '')
}

export const isTypeScript = (file: SourceFile): boolean => file.path.endsWith('.ts')

/** The published code: `src` and `lib`. */
export const productFiles = (tree: SourceTree): SourceFile[] =>
  [...tree.values()].filter((file) => /^(src|lib)\/.*\.ts$/.test(file.path))

const statements: readonly RegExp[] = [
  /^import(\s+type\b)?(?:[^'";]*?\sfrom)?\s+'([^']+)'/gm,
  /^export(\s+type\b)?\s+(?:\{[^}]*\}|\*[^'\n]*)\s+from\s+'([^']+)'/gm
]
const dynamic = /\bimport\(\s*'([^']+)'\s*\)/g
const relativeText = /'(\.\.?\/[^']+\.js)'/g

export function referencesOf(file: SourceFile, tree: SourceTree): Reference[] {
  const found = new Map<number, Reference>()
  const add = (at: number, specifier: string, typeOnly: boolean, isImport: boolean) => {
    const line = lineAt(file.text, at)
    const target = resolve(file.path, specifier, tree)
    if (!found.has(line)) found.set(line, { specifier, line, typeOnly, isImport, target })
  }
  for (const match of statements.flatMap((one) => [...file.uncommented.matchAll(one)])) {
    if (!/^(import|export)/.test(file.code.slice(match.index))) continue
    add(match.index, match[2] ?? '', match[1] !== undefined || onlyTypes(match[0]), true)
  }
  for (const match of file.uncommented.matchAll(dynamic)) {
    if (file.code.startsWith('import', match.index)) add(match.index, match[1] ?? '', false, true)
  }
  for (const match of file.uncommented.matchAll(relativeText)) {
    const isOwnLine = [...found.values()].some(({ specifier }) => specifier === match[1])
    if (!isOwnLine) add(match.index, match[1] ?? '', false, false)
  }
  return [...found.values()]
}

/** `import { type A, type B } from` */
function onlyTypes(text: string): boolean {
  const names = /\{([^}]*)\}/.exec(text)?.[1]
  if (names === undefined || /^import\s+\w/.test(text)) return false
  const given = names.split(',').filter((name) => name.trim() !== '')
  return given.length > 0 && given.every((name) => /^\s*type\s/.test(name))
}

function resolve(from: string, specifier: string, tree: SourceTree): string | null {
  if (!specifier.startsWith('.')) return null
  const path = posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts')
  return tree.has(path) ? path : null
}

const regexMayFollow = /(?:^|[([{,;=:!&|?+\-*%<>~^}]|\b(?:return|typeof|case|in|of|void))\s*$/

/** Blanks comments, and on demand what stands in strings; line breaks and offsets stay. */
function mask(text: string, strings: boolean): string {
  const out = text.split('')
  const templates: number[] = []
  let depth = 0
  let i = 0
  const blank = (from: number, to: number) => {
    for (let k = from; k < to && k < out.length; k++) if (out[k] !== '\n') out[k] = ' '
  }
  const skipQuoted = (quote: string) => {
    const start = ++i
    while (i < text.length && text[i] !== quote) i += text[i] === '\\' ? 2 : 1
    if (strings) blank(start, i)
    i++
  }
  const skipTemplate = () => {
    const start = i
    while (i < text.length && text[i] !== '`' && !text.startsWith('${', i)) {
      i += text[i] === '\\' ? 2 : 1
    }
    if (strings) blank(start, i)
    if (text[i] === '`') i++
    else {
      templates.push(depth++)
      i += 2
    }
  }
  while (i < text.length) {
    const char = text[i]
    if (text.startsWith('//', i) || text.startsWith('/*', i)) {
      const end = text[i + 1] === '/' ? text.indexOf('\n', i) : text.indexOf('*/', i) + 2
      blank(i, end <= 1 ? text.length : end)
      i = end <= 1 ? text.length : end
    } else if (char === "'" || char === '"') skipQuoted(char)
    else if (char === '`') {
      i++
      skipTemplate()
    } else if (char === '/' && regexMayFollow.test(out.slice(Math.max(0, i - 40), i).join(''))) {
      const start = ++i
      for (let inClass = false; i < text.length && (inClass || text[i] !== '/'); i++) {
        if (text[i] === '\\') i++
        else if (text[i] === '[') inClass = true
        else if (text[i] === ']') inClass = false
      }
      if (strings) blank(start, i)
      i++
    } else if (char === '{') {
      depth++
      i++
    } else if (char === '}') {
      depth--
      i++
      if (templates.at(-1) === depth) {
        templates.pop()
        skipTemplate()
      }
    } else i++
  }
  return out.join('')
}
