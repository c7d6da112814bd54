import { InvalidConfigError } from '../errors.js'
import {
  type ClientConfigInput,
  type ClientFields,
  type Config,
  clientSchema,
  configSchema
} from './schema.js'

/** A client's fields, and the sections of a node's that its transport and routing are made with. */
export interface ClientConfig extends ClientFields {
  readonly transport: Config['transport']
  readonly routing: Config['routing']
}

/**
 * A client has other nodes to go to, so a silent one is left sooner than nodes leave each other.
 * A connection that is being made is given time: nobody waits for it while another one is there,
 * and when many clients connect at once, to give up early and begin again would keep all of them
 * from ever being done.
 */
const transport = {
  dialTimeoutMs: 5_000,
  reconnectBackoffMaxMs: 1_000,
  idleTimeoutMs: 3_000
}

/** @throws InvalidConfigError with every fault at once */
export function resolveClientConfig(given: ClientConfigInput): ClientConfig {
  const parsed = clientSchema.safeParse(given)
  if (!parsed.success) {
    throw new InvalidConfigError(
      parsed.error.issues.map(({ path, message }) => ({
        path: path.join('.') || '(root)',
        message
      }))
    )
  }
  const { strategy, timeoutMs, requestsInFlightMax } = parsed.data
  return Object.freeze({
    ...parsed.data,
    transport: configSchema.shape.transport.parse(transport),
    routing: configSchema.shape.routing.parse({
      strategy,
      queryTimeoutMs: timeoutMs,
      queriesInFlightMax: requestsInFlightMax
    })
  })
}
