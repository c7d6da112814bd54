/**
 * Distributed tracing. The context that travels is 25 bytes: trace id (16), span id (8), flags (1),
 * which is W3C trace context without its version. Whoever has no tracer passes null, and pays
 * nothing.
 */
export type SpanKind = 'internal' | 'client' | 'server'

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

export interface Span {
  /** What is sent along, so that spans elsewhere become its children; null: it is not recorded. */
  readonly context: Uint8Array | null
  setAttributes(attributes: SpanAttributes): void
  /** Once. With an error the span has failed. */
  end(error?: unknown): void
}

export interface SpanOptions {
  readonly kind: SpanKind
  readonly attributes?: SpanAttributes
  /** What travelled here; absent: the active span, if any. */
  readonly parent?: Uint8Array
}

export interface Tracer {
  /** Of the active span; null: there is none, or it is not recorded. */
  activeContext(): Uint8Array | null
  startSpan(name: string, options: SpanOptions): Span
  /** Runs with the span active, across everything that `act` awaits. */
  within<T>(span: Span, act: () => T): T
  /** Runs with no span active: what goes on by itself is nobody's trace. */
  outside<T>(act: () => T): T
}
