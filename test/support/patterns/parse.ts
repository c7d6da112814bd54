/**
 * Regular expressions as automata of positions (Glushkov): one state per character class of the
 * pattern, an edge for each way the matcher can go from one to the next. Edges are kept as often as
 * there are ways, because `(a*)*` repeats itself through one and the same pair of states.
 *
 * What is not understood (lookbehind, back references, classes of Unicode) throws: then this file
 * learns it, or the pattern goes.
 */

export type Ranges = readonly (readonly [low: number, high: number])[]

export interface Automaton {
  readonly classes: readonly Ranges[]
  /** By state, the states that may follow; one that can be reached in two ways stands twice. */
  readonly follow: readonly (readonly number[])[]
  /** States from which the whole pattern has matched, whatever comes next. */
  readonly accepts: ReadonlySet<number>
  /** Before the first character. */
  readonly start: number
}

const last = 0xffff
const digits: Ranges = [[0x30, 0x39]]
const word: Ranges = [...digits, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]
const lineEnds: Ranges = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029]
]
const spaces: Ranges = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff]
]
const any: Ranges = [[0, last]]

function inverse(ranges: Ranges): Ranges {
  const found: [number, number][] = []
  let from = 0
  for (const [low, high] of [...ranges].sort(([a], [b]) => a - b)) {
    if (low > from) found.push([from, low - 1])
    from = Math.max(from, high + 1)
  }
  if (from <= last) found.push([from, last])
  return found
}

/** Letters in both cases; enough for patterns in ASCII. */
const folded = (ranges: Ranges): Ranges =>
  ranges.flatMap(([low, high]) => {
    const overlap = (from: number, by: number): Ranges => {
      const [a, b] = [Math.max(low, from), Math.min(high, from + 25)]
      return a <= b ? [[a + by, b + by]] : []
    }
    return [[low, high] as const, ...overlap(0x41, 0x20), ...overlap(0x61, -0x20)]
  })

/** Null: cannot match at all. */
type Part = {
  /** Matches nothing too. */
  readonly nullable: boolean
  /** … and on no condition. */
  readonly free: boolean
  readonly first: readonly number[]
  /** With whether the part may end there on no condition. */
  readonly last: readonly { readonly at: number; readonly free: boolean }[]
} | null

const empty: Part = { nullable: true, free: true, first: [], last: [] }
const condition = { nullable: true, free: false, first: [], last: [] } as const

const escapes: Readonly<Record<string, Ranges>> = {
  d: digits,
  D: inverse(digits),
  w: word,
  W: inverse(word),
  s: spaces,
  S: inverse(spaces)
}
const controls: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, 0: 0 }

class Parser {
  readonly classes: Ranges[] = []
  readonly follow: number[][] = []
  readonly #source: string
  readonly #flags: string
  #at = 0
  /** Whether `^` holds where the pattern begins. */
  #isAtBegin = false

  constructor(source: string, flags: string) {
    this.#source = source
    this.#flags = flags
  }

  state(ranges: Ranges): number {
    this.follow.push([])
    return this.classes.push(ranges) - 1
  }

  whole(isAtBegin: boolean): Part {
    this.#at = 0
    this.#isAtBegin = isAtBegin
    const part = this.#alternatives()
    if (this.#at < this.#source.length) this.#fail('something is left over')
    return part
  }

  #fail(why: string): never {
    throw new Error(`/${this.#source}/ at ${this.#at}: ${why}`)
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }

  #alternatives(): Part {
    let all = this.#sequence()
    while (this.#take('|')) {
      const next = this.#sequence()
      if (all === null || next === null) {
        all = all ?? next
        continue
      }
      all = {
        nullable: all.nullable || next.nullable,
        free: all.free || next.free,
        first: [...all.first, ...next.first],
        last: [...all.last, ...next.last]
      }
    }
    return all
  }

  #sequence(): Part {
    let all: Part = empty
    while (this.#at < this.#source.length && !'|)'.includes(this.#source.charAt(this.#at))) {
      const begin = this.#at
      let next = this.#atom()
      // Few and exactly so many: that often, one behind the other.
      const exact = /^\{([2-8])\}/.exec(this.#source.slice(this.#at))
      if (exact === null) next = this.#repeated(next)
      for (let times = Number(exact?.[1] ?? 1); times > 1; times--) {
        this.#at = begin
        const again = this.#atom()
        next = next === null || again === null ? null : this.#joined(next, again)
      }
      this.#at += exact?.[0].length ?? 0
      all = all === null || next === null ? null : this.#joined(all, next)
    }
    return all
  }

  #joined(a: NonNullable<Part>, b: NonNullable<Part>): Part {
    for (const { at } of a.last) this.follow[at]?.push(...b.first)
    const through = a.last.map(({ at, free }) => ({ at, free: free && b.free }))
    return {
      nullable: a.nullable && b.nullable,
      free: a.free && b.free,
      first: a.nullable ? [...a.first, ...b.first] : a.first,
      last: b.nullable ? [...b.last, ...through] : b.last
    }
  }

  /** `{2,63}` is taken for `+` that must not end early: it can do no less. */
  #repeated(part: Part): Part {
    let bounds: readonly [number, number] = [1, 1]
    if (this.#take('*')) bounds = [0, Number.POSITIVE_INFINITY]
    else if (this.#take('+')) bounds = [1, Number.POSITIVE_INFINITY]
    else if (this.#take('?')) bounds = [0, 1]
    else {
      const [text, low, comma, high] =
        /^\{(\d+)(,?)(\d*)\}/.exec(this.#source.slice(this.#at)) ?? []
      if (text === undefined) return part
      this.#at += text.length
      const least = Number(low)
      bounds = [least, comma === '' ? least : high === '' ? Number.POSITIVE_INFINITY : Number(high)]
    }
    this.#take('?')
    const [least, most] = bounds
    if (part === null) return least === 0 ? empty : null
    if (most === 0) return empty
    if (most > 1) for (const { at } of part.last) this.follow[at]?.push(...part.first)
    if (least === 0) return { ...part, nullable: true, free: true }
    if (least === 1) return part
    return { ...part, free: false, last: part.last.map(({ at }) => ({ at, free: false })) }
  }

  #atom(): Part {
    if (this.#take('^')) return this.#isAtBegin ? empty : null
    if (this.#take('$') || this.#take('\\b') || this.#take('\\B')) return condition
    if (this.#take('(?<=') || this.#take('(?<!')) this.#fail('lookbehind is not understood')
    if (this.#take('(?=') || this.#take('(?!')) {
      // A way that ends there: it is tried, and what follows begins where it began.
      const inner = this.#closed()
      return { ...condition, first: inner?.first ?? [] }
    }
    if (this.#take('(?:')) return this.#closed()
    if (this.#take('(?')) {
      const [name] = /^<\w+>/.exec(this.#source.slice(this.#at)) ?? []
      if (name === undefined) this.#fail('this group is not understood')
      this.#at += name?.length ?? 0
      return this.#closed()
    }
    if (this.#take('(')) return this.#closed()
    if (this.#take('[')) return this.#one(this.#class())
    if (this.#take('.')) return this.#one(this.#flags.includes('s') ? any : inverse(lineEnds))
    if (this.#take('\\')) return this.#one(this.#escaped())
    const code = this.#source.charCodeAt(this.#at++)
    return this.#one([[code, code]])
  }

  #closed(): Part {
    const inner = this.#alternatives()
    if (!this.#take(')')) this.#fail('a group is not closed')
    return inner
  }

  #one(ranges: Ranges): Part {
    const at = this.state(this.#flags.includes('i') ? folded(ranges) : ranges)
    return { nullable: false, free: false, first: [at], last: [{ at, free: true }] }
  }

  #escaped(): Ranges {
    const char = this.#source.charAt(this.#at++)
    const ranges = escapes[char]
    if (ranges !== undefined) return ranges
    const control = controls[char]
    if (control !== undefined) return [[control, control]]
    const [hex] = /^(?:u[0-9a-f]{4}|x[0-9a-f]{2})/i.exec(this.#source.slice(this.#at - 1)) ?? []
    if (hex !== undefined) {
      this.#at += hex.length - 1
      const code = Number.parseInt(hex.slice(1), 16)
      return [[code, code]]
    }
    if (/[0-9A-Za-z]/.test(char)) this.#fail(`\\${char} is not understood`)
    const code = char.charCodeAt(0)
    return [[code, code]]
  }

  #class(): Ranges {
    const isInverse = this.#take('^')
    const ranges: (readonly [number, number])[] = []
    while (!this.#take(']')) {
      if (this.#at >= this.#source.length) this.#fail('a class is not closed')
      const from = this.#classMember()
      const [[low, high] = [0, 0]] = from
      const next = this.#source.charAt(this.#at + 1)
      if (from.length === 1 && low === high && next !== ']' && this.#take('-')) {
        const [[, to] = [0, 0]] = this.#classMember()
        ranges.push([low, to])
      } else ranges.push(...from)
    }
    return isInverse ? inverse(ranges) : ranges
  }

  #classMember(): Ranges {
    if (this.#take('\\')) return this.#escaped()
    const code = this.#source.charCodeAt(this.#at++)
    return [[code, code]]
  }
}

/**
 * Of a search from left to right: before the pattern lies any text. `^` holds at its beginning and,
 * with the flag `m`, behind line ends.
 */
export function automatonOf({ source, flags }: RegExp): Automaton {
  const parser = new Parser(source, flags)
  const isLined = flags.includes('m')
  const atBegin = parser.whole(true)
  const later = parser.whole(false)
  const { classes, follow } = parser
  const start = parser.state([])
  const passed = parser.state(inverse(lineEnds))
  const passedLine = parser.state(lineEnds)
  follow[start]?.push(...(atBegin?.first ?? []))
  if (later !== null || isLined) {
    for (const from of [start, passed, passedLine]) follow[from]?.push(passed, passedLine)
    follow[passed]?.push(...(later?.first ?? []))
    follow[passedLine]?.push(...((isLined ? atBegin : later)?.first ?? []))
  }
  const ends = [...(atBegin?.last ?? []), ...(later?.last ?? [])]
  const accepts = new Set(ends.filter(({ free }) => free).map(({ at }) => at))
  return { classes, follow, accepts, start }
}
