/** `skein/sqlite` as it is published: its threads and processes load a few files, not dozens. */
type Published = typeof import('../../lib/sqlite.js')

const file = new URL('../../bundle/sqlite.js', import.meta.url)

export const { sqliteEngine } = (await import(file.href)) as Published
