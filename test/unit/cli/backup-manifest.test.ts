import { createHash } from 'node:crypto'
import t from 'tap'
import {
  decodeManifest,
  encodeManifest,
  type Manifest,
  manifestOf
} from '../../../src/cli/backup/manifest.js'
import type {
  Backup,
  ClusterId,
  GroupId,
  LogIndex,
  NodeId,
  Term,
  WallMs
} from '../../../src/core/index.js'

const hash = (text: string) => createHash('sha256').update(text).digest('hex')

const backup: Backup = {
  id: 'b1',
  clusterName: 'flock',
  clusterId: 'c'.repeat(32) as ClusterId,
  clusterVersion: 1,
  minVersion: 1,
  software: '0.1.0',
  node: 'a' as NodeId,
  takenAt: 1_000 as WallMs,
  heldMs: 3,
  groups: [
    {
      group: 0 as GroupId,
      index: 7 as LogIndex,
      term: 2 as Term,
      logTime: 900,
      format: 1,
      sizeBytes: 8_192,
      sha256: 'ab'.repeat(32)
    }
  ],
  tables: [{ table: 'accounts', shardKey: 'id', ranges: [{ from: 0, group: 0 as GroupId }] }]
}

/** As somebody would write it who knows how its checksum is made. */
const altered = (change: (manifest: Record<string, unknown>) => void): string => {
  const manifest = structuredClone(manifestOf(backup)) as unknown as Record<string, unknown>
  change(manifest)
  return encodeManifest(manifest as unknown as Manifest, hash)
}

t.test('a manifest is read as it was written', async (t) => {
  const manifest = manifestOf(backup)
  t.match(manifest, { format: 1, groups: [{ file: 'group-0.sqlite', index: 7 }] })
  t.same(decodeManifest(encodeManifest(manifest, hash), hash), manifest)
  const compact = JSON.stringify(JSON.parse(encodeManifest(manifest, hash)))
  t.same(decodeManifest(compact, hash), manifest, 'blanks do not count')
})

t.test('any change of a manifest is seen', async (t) => {
  const text = encodeManifest(manifestOf(backup), hash)
  const damaged = { code: 'ERR_SKEIN_BACKUP_DAMAGED', message: /^manifest\.json: / }
  for (const [from, to] of [
    ['"index": 7', '"index": 8'],
    ['"a"', '"b"'],
    ['accounts', 'account_'],
    ['"checksum": "', '"checksum": "0']
  ] as const) {
    t.throws(() => decodeManifest(text.replace(from, to), hash), damaged, from)
  }
  for (const wrong of ['', '[]', '{}', text.slice(0, -9), 'null']) {
    t.throws(() => decodeManifest(wrong, hash), damaged, JSON.stringify(wrong.slice(0, 9)))
  }
})

t.test('what is refused is named', async (t) => {
  t.throws(
    () =>
      decodeManifest(
        altered((manifest) => (manifest.format = 2)),
        hash
      ),
    {
      code: 'ERR_SKEIN_BACKUP_FORMAT',
      message: /manifest\.json: format is 2; this software reads up to 1/,
      details: { field: 'format' }
    }
  )
  const rows: readonly (readonly [string, (manifest: Record<string, unknown>) => void])[] = [
    ['clusterId', (manifest) => (manifest.clusterId = 'x')],
    ['groups', (manifest) => (manifest.groups = [])],
    [
      'groups.0.file',
      (manifest) => {
        const [group] = manifest.groups as { file: string }[]
        if (group !== undefined) group.file = '../../etc/passwd'
      }
    ]
  ]
  for (const [field, change] of rows) {
    t.throws(() => decodeManifest(altered(change), hash), {
      code: 'ERR_SKEIN_BACKUP_DAMAGED',
      details: { file: 'manifest.json', field }
    })
  }
})
