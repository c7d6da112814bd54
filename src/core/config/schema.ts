/**
 * The one configuration schema, of the sections in `*-fields.ts`. Every field: unit in its name,
 * default, range, and what raising and lowering it does. Zero means what the field says, or is out
 * of range. `reloadable` names the fields that may change at run time. Relations between fields are
 * in `relations.ts`, presets in `presets.ts`.
 */
import { z } from 'zod'
import { cluster, node, security } from './cluster-fields.js'
import { consensus, engine, failover, sync } from './data-fields.js'
import { delivery, membership, transport } from './network-fields.js'
import { admin, client, facade } from './service-fields.js'
import { health, routing } from './traffic-fields.js'

export const clientSchema = client

export const configSchema = z.strictObject({
  node,
  cluster: cluster.prefault({}),
  security: security.prefault({}),
  membership: membership.prefault({}),
  transport: transport.prefault({}),
  delivery: delivery.prefault({}),
  consensus: consensus.prefault({}),
  routing: routing.prefault({}),
  engine: engine.prefault({}),
  health: health.prefault({}),
  failover: failover.prefault({}),
  sync: sync.prefault({}),
  admin: admin.prefault({}),
  facade: facade.prefault({})
})

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

export type Config = DeepReadonly<z.output<typeof configSchema>>
/** What an embedder writes: everything that has a default may be left out. */
export type ConfigInput = z.input<typeof configSchema>

export type ClientFields = DeepReadonly<z.output<typeof clientSchema>>
/** What the user of a client writes. */
export type ClientConfigInput = z.input<typeof clientSchema>

/** Dotted paths of the fields that may change while the node runs. */
export const reloadable = [
  'routing.strategy',
  'routing.queryTimeoutMs',
  'routing.retriesMax',
  'routing.retryBackoffMs',
  'routing.queriesInFlightMax',
  'sync.bytesPerSecond',
  'sync.chunksInFlightMax'
] as const
