import type { Clock } from './ports/clock.js'
import type { Span, SpanOptions, Tracer } from './ports/tracer.js'

/** A span around `act`, that ends when it does; without a tracer, `act` alone. */
export async function traced<T>(
  tracer: Tracer | null | undefined,
  name: string,
  options: SpanOptions,
  act: (span: Span | null) => Promise<T>
): Promise<T> {
  if (tracer === null || tracer === undefined) return act(null)
  const span = tracer.startSpan(name, options)
  try {
    const value = await tracer.within(span, () => act(span))
    span.end()
    return value
  } catch (error) {
    span.end(error)
    throw error
  }
}

/** `traced` for what does not wait. */
export function tracedNow<T>(
  tracer: Tracer | null | undefined,
  name: string,
  options: SpanOptions,
  act: (span: Span | null) => T
): T {
  if (tracer === null || tracer === undefined) return act(null)
  const span = tracer.startSpan(name, options)
  try {
    const value = tracer.within(span, () => act(span))
    span.end()
    return value
  } catch (error) {
    span.end(error)
    throw error
  }
}

/**
 * A clock whose callbacks are in no trace: a timer that is armed in one and arms itself again
 * would stay in it for ever.
 */
export const outsideTraces = (clock: Clock, tracer: Tracer): Clock => ({
  now: () => clock.now(),
  wallNow: () => clock.wallNow(),
  schedule: (at, callback) => clock.schedule(at, () => tracer.outside(callback))
})
