/** Where commands write: results on one stream, everything said about them on the other. */
export interface Output {
  line(text: string): void
  note(text: string): void
  /** Where notes go, when that is a terminal on which a bar can be drawn. */
  readonly terminal?: NodeJS.WritableStream
}

export const processOutput: Output = {
  line: (text) => void process.stdout.write(`${text}\n`),
  note: (text) => void process.stderr.write(`${text}\n`),
  ...(process.stderr.isTTY ? { terminal: process.stderr } : {})
}

/** Columns as wide as their widest cell, two spaces between, no trailing blanks. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, i) => Math.max(...all.map((row) => (row[i] ?? '').length)))
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}

/** Control characters cannot drive the terminal that shows them. */
export const printable = (text: string): string =>
  [...text].map((char) => (isControl(char) ? escaped(char) : char)).join('')

const escaped = (char: string): string => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`

function isControl(char: string): boolean {
  const code = char.codePointAt(0) ?? 0
  return code < 0x20 || (code >= 0x7f && code < 0xa0)
}
