/** The import tables of docs/ARCHITECTURE.md and the graph's cycles. */
import {
  type Finding,
  productFiles,
  type Reference,
  referencesOf,
  roomOf,
  type SourceFile,
  type SourceTree
} from './source-tree.js'

const everything = '*'
const middle = ['core', 'wire', 'consensus', 'control', 'routing']

/** Room → rooms it may import. */
export const importTable: Readonly<Record<string, readonly string[]>> = {
  core: [],
  wire: ['core'],
  runtime: ['core'],
  network: ['core', 'wire'],
  consensus: ['core', 'wire'],
  health: ['core', 'wire'],
  engine: ['core', 'wire'],
  checkers: ['core', 'wire'],
  control: ['core', 'wire', 'consensus'],
  routing: ['core', 'wire', 'control'],
  failover: middle,
  service: middle,
  stream: middle,
  client: middle,
  admin: ['core'],
  simulation: [everything],
  cli: [everything],
  lib: [everything]
}

/** Rooms that one face alone may import. */
const keptFor: Readonly<Record<string, string>> = {
  engine: 'lib/sqlite.ts',
  admin: 'lib/admin.ts',
  simulation: 'lib/testing.ts',
  checkers: 'lib/testing.ts'
}

/** Imported by file, not only by entry. */
const openRooms = new Set(['core', 'wire'])

/** May look into every room. */
const insiders = new Set(['simulation'])

const edge = /-(socket|worker|store)\.ts$/

/** Rooms without kinds of file: their files may do what their room may. */
const kindless = new Set(['runtime', 'admin', 'simulation', 'cli', 'lib'])

export type FileKind = 'pure' | 'driver' | 'edge' | 'free'

export function kindOf(path: string): FileKind {
  if (kindless.has(roomOf(path))) return 'free'
  if (edge.test(path)) return 'edge'
  return path.endsWith('-driver.ts') ? 'driver' : 'pure'
}

/** Rooms × rooms, through entries; packages and `node:` by kind of file. */
export function checkImports(tree: SourceTree): Finding[] {
  const findings: Finding[] = []
  for (const file of productFiles(tree)) {
    for (const reference of referencesOf(file, tree)) {
      const message = faultOf(file, reference)
      if (message !== null) findings.push({ file: file.path, line: reference.line, message })
    }
  }
  return findings
}

function faultOf(file: SourceFile, reference: Reference): string | null {
  if (!reference.specifier.startsWith('.')) return packageFault(file, reference.specifier)
  if (reference.target === null) {
    return reference.isImport ? `${reference.specifier} does not exist` : null
  }
  return roomFault(file.path, reference)
}

function roomFault(path: string, reference: Reference): string | null {
  const target = reference.target ?? ''
  const from = roomOf(path)
  const to = roomOf(target)
  if (from === to) return null
  const allowed = importTable[from]
  if (allowed === undefined) return `room ${from} is in no import table`
  if (to === 'cli') return 'nothing imports cli'
  if (!allowed.includes(everything) && !allowed.includes(to)) return `${from} may not import ${to}`
  if (from === 'routing' && to === 'control' && !reference.typeOnly) {
    return 'routing may import types of control only'
  }
  const face = keptFor[to]
  if (from === 'lib' && face !== undefined && face !== path) return `only ${face} imports ${to}`
  if (openRooms.has(to) || insiders.has(from) || to === 'lib') return null
  return target === `src/${to}/index.ts` ? null : `${to} is imported through its index.ts only`
}

function packageFault(file: SourceFile, specifier: string): string | null {
  const { path } = file
  const kind = kindOf(path)
  const room = roomOf(path)
  if (specifier === 'zod' && path.startsWith('src/core/config/')) return null
  if (['tsyringe', 'reflect-metadata'].includes(specifier) && path !== 'lib/composition.ts') {
    return `${specifier} belongs to lib/composition.ts alone`
  }
  if (room === 'lib' && specifier.startsWith('node:')) return 'lib holds no logic: no node: module'
  if (kind === 'free' || (kind === 'edge' && room !== 'core' && room !== 'wire')) return null
  const what = kind === 'edge' ? `a file of ${room}` : `a ${kind} file`
  return `${what} may not import ${specifier}; put it behind a port, in a *-socket|worker|store.ts`
}

/** No cycle between files (imports of values), none between rooms (types count). */
export function checkCycles(tree: SourceTree): Finding[] {
  const files = new Map<string, Set<string>>()
  const rooms = new Map<string, Set<string>>()
  for (const file of productFiles(tree)) {
    for (const { isImport, target, typeOnly } of referencesOf(file, tree)) {
      if (!isImport || target === null) continue
      if (!typeOnly) link(files, file.path, target)
      // Each face of lib stands for itself: the simulator uses one and another uses the simulator.
      link(rooms, nodeOfRoom(file.path), nodeOfRoom(target))
    }
  }
  return [
    ...cyclesIn(files).map((cycle) => toFinding('files', cycle)),
    ...cyclesIn(rooms).map((cycle) => toFinding('rooms', cycle))
  ]
}

const nodeOfRoom = (path: string): string => (path.startsWith('lib/') ? path : roomOf(path))

const toFinding = (what: string, cycle: readonly string[]): Finding => ({
  file: cycle[0] ?? '',
  line: 1,
  message: `cycle of ${what}: ${cycle.join(' → ')}`
})

function link(graph: Map<string, Set<string>>, from: string, to: string): void {
  if (from === to) return
  const targets = graph.get(from) ?? new Set()
  targets.add(to)
  graph.set(from, targets)
}

function cyclesIn(graph: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const cycles: string[][] = []
  const done = new Set<string>()
  const path: string[] = []
  const visit = (node: string) => {
    const at = path.indexOf(node)
    if (at >= 0) {
      cycles.push([...path.slice(at), node])
      return
    }
    if (done.has(node)) return
    path.push(node)
    for (const next of [...(graph.get(node) ?? [])].sort()) visit(next)
    path.pop()
    done.add(node)
  }
  for (const node of [...graph.keys()].sort()) visit(node)
  return cycles
}
