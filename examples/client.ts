/**
 * A program that embeds no node: it knows some addresses, learns the rest, and writes and reads
 * wherever that is to be done. `countGeese` needs a running cluster; with certificates it would
 * give `certificateFile`, `keyFile` and `caFile` in the place of `insecure`.
 */
import { type ConnectOptions, hasCode, SkeinClient } from '../lib/client.js'

export async function countGeese(options: ConnectOptions): Promise<number> {
  const client = await SkeinClient.connect(options)
  try {
    await client.query('CREATE TABLE IF NOT EXISTS goose (name TEXT PRIMARY KEY, seen INTEGER)')
    await client.execute([
      { sql: 'INSERT OR IGNORE INTO goose VALUES (?, 0)', params: ['Akka'] },
      { sql: 'UPDATE goose SET seen = seen + 1 WHERE name = ?', params: ['Akka'] }
    ])
    // Any node may answer, and this client still sees what it wrote.
    const read = 'SELECT seen FROM goose WHERE name = ?'
    const { rows } = await client.query(read, ['Akka'], { consistency: 'local' })
    return Number(rows[0]?.[0])
  } catch (error) {
    // Only here is it unknown whether a write was executed; everything else says so.
    if (hasCode(error, 'ERR_SKEIN_INDETERMINATE')) return Number.NaN
    throw error
  } finally {
    await client.close()
  }
}
