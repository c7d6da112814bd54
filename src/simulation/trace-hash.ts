/**
 * A running fingerprint of a run: two runs that did the same in the same order have the same. Two
 * 32-bit multiply-xor lanes (after FNV-1a); it must be quick and spread well, it need not resist
 * anybody.
 */
export class TraceHash {
  #a = 0x811c9dc5
  #b = 0x01000193
  readonly #labels = new Map<string, number>()

  number(value: number): void {
    this.#mix(value | 0)
    this.#mix((value / 0x1_0000_0000) | 0)
  }

  /** Virtual time, to the nanosecond. */
  time(ms: number): void {
    this.number(Math.round(ms * 1e6))
  }

  /** A text out of a small set, which is looked through once. */
  label(value: string): void {
    let word = this.#labels.get(value)
    if (word === undefined) {
      word = wordOf(value)
      this.#labels.set(value, word)
    }
    this.#mix(word)
  }

  bytes(value: Uint8Array): void {
    let a = this.#a
    let b = this.#b
    const { length } = value
    const whole = length & ~3
    for (let i = 0; i < whole; i += 4) {
      const low = (value[i] as number) | ((value[i + 1] as number) << 8)
      const high = (value[i + 2] as number) | ((value[i + 3] as number) << 8)
      a = Math.imul(a ^ (low | (high << 16)), 0x01000193)
      b = Math.imul(b + a, 0x85ebca6b) ^ (b >>> 13)
    }
    for (let i = whole; i < length; i++) {
      a = Math.imul(a ^ (value[i] as number), 0x01000193)
      b = Math.imul(b + a, 0x85ebca6b) ^ (b >>> 13)
    }
    this.#a = a
    this.#b = b
    this.#mix(value.length)
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    return hex(this.#a) + hex(this.#b)
  }

  #mix(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x01000193)
    this.#b = Math.imul(this.#b + this.#a, 0x85ebca6b) ^ (this.#b >>> 13)
  }
}

function wordOf(text: string): number {
  let word = 0x811c9dc5
  for (let i = 0; i < text.length; i++) word = Math.imul(word ^ text.charCodeAt(i), 0x01000193)
  return word
}

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')
