/**
 * How long a queue or table is, and how long it may be: rooms tell it of each of theirs, for
 * whoever inspects them. The name is that of the row in docs/limits.md.
 */
export type TellQueue = (name: string, length: number, lengthMax: number) => void
