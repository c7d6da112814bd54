/** The tracer port over `@opentelemetry/api`, an optional peer: loaded when it is there. */
import type { SpanAttributes, SpanOptions, Tracer, Span as TracerSpan } from '../core/index.js'

type Api = typeof import('@opentelemetry/api')
type ApiSpan = import('@opentelemetry/api').Span
type ApiTracer = import('@opentelemetry/api').Tracer

const traceIdBytes = 16
const spanIdBytes = 8

/**
 * Null: the package is not installed. Spans go to whatever provider the embedder has registered;
 * without one they cost next to nothing and go nowhere.
 */
export async function loadTracer(version: string): Promise<Tracer | null> {
  const api = await loadApi()
  return api === null ? null : new OtelTracer(api, api.trace.getTracer('skein', version))
}

async function loadApi(): Promise<Api | null> {
  try {
    return await import('@opentelemetry/api')
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND'
    if (isAbsent) return null
    throw error
  }
}

class OtelTracer implements Tracer {
  readonly #api: Api
  readonly #tracer: ApiTracer

  constructor(api: Api, tracer: ApiTracer) {
    this.#api = api
    this.#tracer = tracer
  }

  activeContext(): Uint8Array | null {
    const span = this.#api.trace.getActiveSpan()
    return span === undefined ? null : contextOf(this.#api, span)
  }

  startSpan(name: string, { kind, attributes, parent }: SpanOptions): TracerSpan {
    const { SpanKind, ROOT_CONTEXT, trace, context } = this.#api
    const kinds = {
      internal: SpanKind.INTERNAL,
      client: SpanKind.CLIENT,
      server: SpanKind.SERVER
    }
    const within =
      parent === undefined
        ? context.active()
        : trace.setSpanContext(ROOT_CONTEXT, { ...readContext(parent), isRemote: true })
    const options = { kind: kinds[kind], ...(attributes === undefined ? {} : { attributes }) }
    return new OtelSpan(this.#api, this.#tracer.startSpan(name, options, within))
  }

  outside<T>(act: () => T): T {
    return this.#api.context.with(this.#api.ROOT_CONTEXT, act)
  }

  within<T>(span: TracerSpan, act: () => T): T {
    const { trace, context } = this.#api
    if (!(span instanceof OtelSpan)) return act()
    return context.with(trace.setSpan(context.active(), span.inner), act)
  }
}

class OtelSpan implements TracerSpan {
  readonly inner: ApiSpan
  readonly context: Uint8Array | null
  readonly #api: Api

  constructor(api: Api, inner: ApiSpan) {
    this.#api = api
    this.inner = inner
    this.context = contextOf(api, inner)
  }

  setAttributes(attributes: SpanAttributes): void {
    this.inner.setAttributes(attributes)
  }

  end(error?: unknown): void {
    if (error !== undefined) {
      const message = error instanceof Error ? error.message : String(error)
      this.inner.setStatus({ code: this.#api.SpanStatusCode.ERROR, message })
      const code = (error as { code?: unknown } | null)?.code
      if (typeof code === 'string') this.inner.setAttribute('error.type', code)
    }
    this.inner.end()
  }
}

function contextOf(api: Api, span: ApiSpan): Uint8Array | null {
  const { traceId, spanId, traceFlags } = span.spanContext()
  if (!api.trace.isSpanContextValid({ traceId, spanId, traceFlags })) return null
  return Uint8Array.from([
    ...Buffer.from(traceId, 'hex'),
    ...Buffer.from(spanId, 'hex'),
    traceFlags & 0xff
  ])
}

function readContext(bytes: Uint8Array) {
  const hex = Buffer.from(bytes).toString('hex')
  const spanAt = 2 * traceIdBytes
  const flagsAt = spanAt + 2 * spanIdBytes
  return {
    traceId: hex.slice(0, spanAt),
    spanId: hex.slice(spanAt, flagsAt),
    traceFlags: bytes[flagsAt / 2] ?? 0
  }
}
