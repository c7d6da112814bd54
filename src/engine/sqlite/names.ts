/** Everything in the database that is Skein's own begins so; statements may not name it. */
export const reservedPrefix = '_skein_'

export const systemTable = `${reservedPrefix}system`
export const stateTable = `${reservedPrefix}state`
/** Answers 1 where the statements of users run, 0 where captured rows are applied. */
export const firesFunction = `${reservedPrefix}fires`
/** Told the key of every row that a statement may have changed. */
export const touchFunction = `${reservedPrefix}touch`
/** The same for a table without rowid: each key column, then its bytes when it is text. */
export const touchKeyFunction = `${reservedPrefix}touch_key`

const lower = (name: string): string => name.toLowerCase()

export const isReservedName = (name: string): boolean => lower(name).startsWith(reservedPrefix)
/** SQLite's own tables: sqlite_schema, sqlite_sequence, sqlite_stat1, … */
export const isInternalName = (name: string): boolean => lower(name).startsWith('sqlite_')

/** A name as it stands in SQL. */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`
/** A text value as it stands in SQL. */
export const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`
